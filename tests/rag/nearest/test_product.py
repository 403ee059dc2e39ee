import numpy as np
import pytest

from handbook.rag.nearest.clouds import clouds
from handbook.rag.nearest.exact import Vectors, recall, search_many, squared_distances
from handbook.rag.nearest.product import (
    PQ,
    decode,
    distances_plain,
    encode,
    learn,
    look_up,
    parts,
    products,
    table,
)

Data = tuple[Vectors, Vectors]


@pytest.fixture(scope="module")
def data() -> Data:
    return clouds(2000, 40, dimension=32)


@pytest.fixture(scope="module")
def trained(data: Data) -> PQ:
    return PQ.of(data[0], count=8, centres=64)


def test_a_worked_example() -> None:
    """Two parts of one number each, two centres a part: 0 or 10, and 1 or 5. (9, 2) is written as (10, 1);
    from (0, 0) the table says 0, 100 and 1, 25, so the distance is 100 + 1."""
    books = np.array([[[0], [10]], [[1], [5]]], np.float32)
    codes = encode(np.array([[9, 2], [1, 4]], np.float32), books)
    assert codes.tolist() == [[1, 0], [0, 1]]
    assert decode(codes, books).tolist() == [[10, 1], [0, 5]]
    looked_up = table(np.zeros(2, np.float32), books)
    assert looked_up.tolist() == [[0, 100], [1, 25]]
    assert look_up(looked_up, codes).tolist() == [101, 25]
    inner = products(np.array([1, 2], np.float32), books)
    assert look_up(inner, codes).tolist() == [12, 10]  # (10, 1) and (0, 5) times (1, 2)


def test_parts_side_by_side_are_the_vector(data: Data) -> None:
    assert np.array_equal(np.concatenate(list(parts(data[0], 4)), axis=1), data[0])


def test_looked_up_distances_are_those_to_the_decoded_vectors(data: Data, trained: PQ) -> None:
    for query in data[1][:5]:
        np.testing.assert_allclose(
            look_up(table(query, trained.books), trained.codes),
            distances_plain(query, trained.codes, trained.books),
            atol=1e-5,
        )


def test_no_other_code_is_nearer(data: Data, trained: PQ) -> None:
    """Parts are independent, so the nearest centre of each is the nearest of all K to the power of M codes:
    changing one part's code of a vector never brings it nearer."""
    draw = np.random.default_rng(0)
    best = np.square(data[0] - decode(trained.codes, trained.books)).sum(axis=1)
    for place in range(trained.codes.shape[1]):
        other = trained.codes.copy()
        other[:, place] = draw.integers(64, size=len(other))
        assert (np.square(data[0] - decode(other, trained.books)).sum(axis=1) >= best - 1e-6).all()


def test_estimates_are_short_by_the_distortion(data: Data) -> None:
    """Jégou et al., section III.C: on average an estimate is short by the codes' mean squared error.

    Exactly so over the vectors that the books were learned from, once k-means has come to rest: a centre is
    the mean of its vectors, so the cross terms in |q - x|² = |q - c|² + |c - x|² + ... sum to zero.
    """
    vectors, queries = data
    books = learn(vectors, 4, centres=16, rounds=500)
    codes = encode(vectors, books)
    distortion = np.square(vectors - decode(codes, books)).sum(axis=1).mean()
    assert distortion > 0.05
    for query in queries[:5]:
        true, estimated = squared_distances(query, vectors), look_up(table(query, books), codes)
        assert (true - estimated).mean() == pytest.approx(distortion, rel=1e-3)


def test_more_parts_cost_more_and_err_less(data: Data) -> None:
    errors = []
    for count in (2, 4, 8):
        some = PQ.of(data[0], count, centres=32)
        assert some.codes.shape == (2000, count)
        errors.append(np.square(data[0] - decode(some.codes, some.books)).sum(axis=1).mean())
    assert errors == sorted(errors, reverse=True)


def test_refining_brings_recall_back(data: Data, trained: PQ) -> None:
    vectors, queries = data
    true = search_many(queries, vectors, 10)
    coded = np.stack([trained.search(query, 10).ids for query in queries])
    refined = [trained.search(query, 10, vectors, refine=8) for query in queries]
    assert recall(coded, true) < 0.8
    assert recall(np.stack([one.ids for one in refined]), true) > 0.97
    assert {one.compared for one in refined} == {80}


def test_bad_input_says_what_was_expected(data: Data) -> None:
    with pytest.raises(ValueError, match="divides 32"):
        PQ.of(data[0], 5)
    with pytest.raises(ValueError, match="at most 256"):
        learn(data[0], 4, centres=257)
