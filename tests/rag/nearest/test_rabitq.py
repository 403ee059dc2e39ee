import numpy as np
import pytest

from handbook.rag.nearest.clouds import clouds
from handbook.rag.nearest.exact import Vectors, squared_distances
from handbook.rag.nearest.rabitq import (
    bits_set,
    bits_set_plain,
    cosines,
    cosines_plain,
    decode,
    distances,
    encode,
    margins,
    rotation,
    rounded,
    unrounded,
)

D = 100  # no multiple of 8 or 16


@pytest.fixture(scope="module")
def pairs() -> tuple[Vectors, Vectors]:
    return clouds(400, 10, dimension=D)


def test_a_worked_example() -> None:
    """(3, -4): length 5, signs + and -. The corner is (1, -1) / sqrt(2), aligned by (0.6 + 0.8) / sqrt(2).
    For the query (1, 0) the estimate is (1 / sqrt(2)) / (1.4 / sqrt(2)) = 1 / 1.4; the cosine is 0.6."""
    codes = encode(np.array([[3, -4]], np.float32))
    assert np.unpackbits(codes.bits[0])[:2].tolist() == [1, 0]
    assert codes.norms.tolist() == [5]
    assert codes.aligned[0] == pytest.approx(1.4 / 2**0.5)
    np.testing.assert_allclose(decode(codes, 2), np.array([[1, -1]]) / 2**0.5, atol=1e-6)
    assert cosines_plain(np.array([2, 0], np.float32), codes)[0] == pytest.approx(1 / 1.4)


def test_a_rotation_changes_no_distance(pairs: tuple[Vectors, Vectors]) -> None:
    turn = rotation(D)
    np.testing.assert_allclose(turn @ turn.T, np.eye(D), atol=1e-5)
    vectors, queries = pairs
    np.testing.assert_allclose(
        squared_distances(queries[0] @ turn, vectors @ turn),
        squared_distances(queries[0], vectors),
        atol=1e-5,
    )


def test_reflections_are_as_likely_as_rotations() -> None:
    signs = [round(float(np.linalg.det(rotation(6, seed)))) for seed in range(60)]
    assert 15 < signs.count(1) < 45
    assert set(signs) == {1, -1}


def test_the_corner_is_the_nearest(pairs: tuple[Vectors, Vectors]) -> None:
    """No other corner has a larger product with o than the one with o's signs: flip any bit and it falls."""
    codes = encode(pairs[0][:50])
    corners = decode(codes, D)
    unit = pairs[0][:50] / codes.norms[:, None]
    best = (corners * unit).sum(axis=1)
    np.testing.assert_allclose(best, codes.aligned, atol=1e-5)
    for place in range(0, D, 7):
        flipped = corners.copy()
        flipped[:, place] *= -1
        assert ((flipped * unit).sum(axis=1) <= best + 1e-7).all()


def test_estimates_are_right_on_average_over_rotations(pairs: tuple[Vectors, Vectors]) -> None:
    """Theorem 3.2. The mean of 400 estimates lies within four of its standard errors of the cosine, for
    nearly all pairs; the product x·q, which is what plain sign bits give, is a fifth too small."""
    vectors, query = pairs[0][:60], pairs[1][0]
    true = vectors @ query
    found = []
    crude = []
    for seed in range(400):
        turn = rotation(D, seed)
        codes = encode(vectors @ turn)
        estimate = cosines_plain(query @ turn, codes)
        found.append(estimate)
        crude.append(estimate * codes.aligned)
    error = np.std(found, axis=0) / 400**0.5
    assert (np.abs(np.mean(found, axis=0) - true) < 4 * error + 1e-6).all()
    telling = np.abs(true) > 0.3
    assert telling.any()
    np.testing.assert_allclose((np.mean(crude, axis=0) / true)[telling], 0.8, atol=0.05)


def test_alignment_is_about_four_fifths(pairs: tuple[Vectors, Vectors]) -> None:
    """Section 3.2.1, footnote: between 0.798 and 0.800 in the mean for D from 100 to 1,000,000."""
    means = [encode(pairs[0] @ rotation(D, seed)).aligned.mean() for seed in range(20)]
    assert np.mean(means) == pytest.approx(0.8, abs=0.005)


def test_margins_hold_and_are_no_wider_than_they_must(pairs: tuple[Vectors, Vectors]) -> None:
    """At 1.9 the error is outside in a few of a hundred pairs (the tail of a normal beyond 1.9 is 0.057),
    at half of that in a third (0.342): so the margin is the error's own width, not just large."""
    vectors, queries = pairs
    outside: dict[float, list[float]] = {1.9: [], 0.95: [], 4.0: []}
    for seed in range(20):
        turn = rotation(D, seed)
        codes = encode(vectors @ turn)
        for query in queries:
            off = np.abs(cosines_plain(query @ turn, codes) - vectors @ query)
            for epsilon, shares in outside.items():
                shares.append(float((off > margins(codes, D, epsilon)).mean()))
    assert np.mean(outside[1.9]) == pytest.approx(0.057, abs=0.03)
    assert np.mean(outside[0.95]) == pytest.approx(0.342, abs=0.06)
    assert np.mean(outside[4.0]) < 0.001


def test_counting_bits_is_the_product(pairs: tuple[Vectors, Vectors]) -> None:
    codes = encode(pairs[0])
    query = rounded(pairs[1][0], np.random.default_rng(0))
    products = decode(codes, D) @ unrounded(query) / codes.aligned
    np.testing.assert_allclose(cosines(query, codes), products, atol=1e-5)


def test_counting_by_table_and_by_instruction(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).integers(256, size=(5, 3, 16), dtype=np.uint8)
    expected = [[sum(int(byte).bit_count() for byte in row) for row in some] for some in rows]
    assert bits_set(rows).tolist() == bits_set_plain(rows).tolist() == expected
    monkeypatch.delattr(np, "bitwise_count", raising=False)  # as NumPy 1.26 is
    assert bits_set(rows).tolist() == expected


def test_rounding_has_no_bias(pairs: tuple[Vectors, Vectors]) -> None:
    query = pairs[1][0]
    draw = np.random.default_rng(0)
    some = [rounded(query, draw) for _ in range(2000)]
    step = some[0].step
    assert np.abs(unrounded(some[0]) - query).max() <= step + 1e-6
    off = np.abs(np.mean([unrounded(one) for one in some], axis=0) - query)
    assert off.max() < 5 * step / 2 / 2000**0.5


def test_distances_from_another_centre(pairs: tuple[Vectors, Vectors]) -> None:
    """With true cosines in place of estimates the distances are the true ones."""
    vectors, queries = pairs
    centre = vectors.mean(axis=0)
    codes = encode(vectors - centre)
    asked = queries[0] - centre
    true = ((vectors - centre) @ asked) / (codes.norms * np.linalg.norm(asked))
    found = distances(true.astype(np.float32), codes, float(np.linalg.norm(asked)))
    np.testing.assert_allclose(found, squared_distances(queries[0], vectors), atol=1e-5)


def test_no_length_at_all() -> None:
    """A vector at the centre is as far as the centre is; a query there is as far as each vector is long."""
    codes = encode(np.array([[0, 0, 0], [3, 0, 4]], np.float32))
    query = np.array([1, 2, 2], np.float32)
    assert distances(cosines_plain(query, codes), codes, 3)[0] == 9
    nowhere = rounded(np.zeros(3, np.float32), np.random.default_rng(0))
    assert distances(cosines(nowhere, codes), codes, nowhere.norm).tolist() == [0, 25]
