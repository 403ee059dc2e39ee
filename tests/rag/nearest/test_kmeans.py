import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbook.rag.nearest.clouds import clouds
from handbook.rag.nearest.exact import squared_distances
from handbook.rag.nearest.kmeans import assign, fill, kmeans, means, means_plain, seeds


def test_a_worked_example() -> None:
    """Two pairs far apart: each pair's middle is a centre, and everybody is 1 away from it."""
    vectors = np.array([[0, 0], [0, 2], [9, 0], [9, 2]], np.float32)
    found = kmeans(vectors, 2)
    assert sorted(found.centres.tolist()) == [[0, 1], [9, 1]]
    assert found.cells[0] == found.cells[1] != found.cells[2] == found.cells[3]
    assert found.errors[-1] == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_the_error_never_rises_and_each_centre_is_its_cells_mean(seed: int, k: int) -> None:
    draw = np.random.default_rng(seed)
    vectors = np.round(draw.normal(size=(40, 3)), 1).astype(np.float32)  # rounded: some are equal
    found = kmeans(vectors, k, rounds=100, seed=seed)
    assert all(after <= before + 1e-5 for before, after in zip(found.errors, found.errors[1:], strict=False))
    filled = np.unique(found.cells)
    np.testing.assert_allclose(found.centres[filled], means_plain(vectors, found.cells, k)[filled], atol=1e-5)


def test_reading_once_gives_the_same_means() -> None:
    vectors, _ = clouds(200, 1, dimension=10)
    cells = np.random.default_rng(0).choice([0, 1, 3, 6], 200)  # 2, 4, 5 and 7 are empty
    np.testing.assert_allclose(means(vectors, cells, 8), means_plain(vectors, cells, 8), atol=1e-6)


def test_assign_is_the_nearest_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = clouds(100, 1, dimension=10)
    monkeypatch.setattr("handbook.rag.nearest.kmeans._BLOCK", 35)  # five vectors a block
    cells, distances = assign(vectors, vectors[:7])
    each = np.stack([squared_distances(vector, vectors[:7]) for vector in vectors])
    assert cells.tolist() == each.argmin(axis=1).tolist()
    np.testing.assert_allclose(distances, each.min(axis=1), atol=1e-6)


def test_seeds_find_far_clouds_where_chance_does_not() -> None:
    """97 vectors in one place and three far ones: k-means++ takes one in each of the four places."""
    vectors = np.zeros((100, 2), np.float32)
    vectors[97:] = [[100, 0], [0, 100], [100, 100]]
    for seed in range(20):
        assert len(np.unique(seeds(vectors, 4, np.random.default_rng(seed)), axis=0)) == 4


def test_an_empty_cell_moves_to_who_is_farthest() -> None:
    centres = np.array([[0, 0], [np.nan, np.nan], [5, 5]], np.float32)
    vectors = np.array([[1, 0], [0, 9], [5, 6]], np.float32)
    assert fill(centres, vectors, np.array([1, 81, 1], np.float32)).tolist() == [[0, 0], [0, 9], [5, 5]]


def test_more_cells_than_different_vectors() -> None:
    assert kmeans(np.ones((5, 2), np.float32), 3).errors[-1] == 0


@pytest.mark.parametrize("k", [0, 6])
def test_bad_input_says_what_was_expected(k: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 5"):
        kmeans(np.ones((5, 2), np.float32), k)
