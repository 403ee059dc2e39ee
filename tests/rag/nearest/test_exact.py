import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.nearest.clouds import clouds
from handbook.rag.nearest.exact import pairwise, recall, search, search_many, smallest, squared_distances


def test_a_worked_example() -> None:
    """By hand: from (0, 1) it is 9 + 9, 1 and 1; of equal ones the first comes first."""
    vectors = np.array([[3, 4], [0, 0], [1, 1]], np.float32)
    found = search(np.array([0, 1], np.float32), vectors, 2)
    assert found.ids.tolist() == [1, 2]
    assert found.distances.tolist() == [1, 1]
    assert found.compared == 3


def test_one_matrix_product_is_the_definition() -> None:
    vectors, queries = clouds(300, 7, dimension=40)
    each = np.stack([squared_distances(query, vectors) for query in queries])
    np.testing.assert_allclose(pairwise(queries, vectors), each, atol=2e-6)


@given(st.lists(st.integers(-5, 5), max_size=40), st.integers(0, 45))
def test_smallest_is_a_stable_sort_cut_off(values: list[int], k: int) -> None:
    array = np.array(values, np.float32)
    values_of = array[smallest(array, k)].tolist()
    assert values_of == sorted(array.tolist())[:k]
    assert len(set(smallest(array, k).tolist())) == min(k, len(values))


def test_many_are_each(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries = clouds(200, 9, dimension=16)
    monkeypatch.setattr("handbook.rag.nearest.exact._BLOCK", 400)  # two queries a block
    together = search_many(queries, vectors, 5)
    assert together.tolist() == [search(query, vectors, 5).ids.tolist() for query in queries]


def test_recall_counts_what_was_found() -> None:
    assert recall(np.array([[3, 2], [9, 8]]), np.array([[2, 3], [9, 7]])) == 0.75
    with pytest.raises(ValueError, match="as many rows"):
        recall(np.array([[1]]), np.array([[1], [2]]))


def test_clouds_are_unit_vectors_with_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of vectors scattered evenly the nearest is nearly as far as the middle one; of these it is not."""
    vectors, queries = clouds(2000, 20)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors.dtype == queries.dtype == np.float32
    assert np.array_equal(vectors, clouds(2000, 20)[0])
    assert not np.array_equal(vectors, clouds(2000, 20, seed=1)[0])
    even = np.random.default_rng(0).normal(size=(2020, 384))
    even = (even / np.linalg.norm(even, axis=1, keepdims=True)).astype(np.float32)
    near = []
    for some, asked in ((vectors, queries), (even[20:], even[:20])):
        distances = pairwise(asked, some)
        near.append(float(np.mean(distances.min(axis=1) / np.median(distances, axis=1))))
    assert near[0] < 0.65 < 0.8 < near[1]
    monkeypatch.setattr("handbook.rag.nearest.clouds._BLOCK", 300)
    np.testing.assert_allclose(np.linalg.norm(clouds(700, 1)[0], axis=1), 1, atol=1e-5)
