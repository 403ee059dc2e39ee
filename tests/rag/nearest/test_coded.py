import numpy as np
import pytest

from handbook.rag.nearest.clouds import clouds
from handbook.rag.nearest.coded import Coded, Products, Signs
from handbook.rag.nearest.exact import Vectors, recall, search, search_many
from handbook.rag.nearest.rabitq import encode

Data = tuple[Vectors, Vectors]


@pytest.fixture(scope="module")
def data() -> Data:
    return clouds(3000, 50, dimension=64)


@pytest.fixture(scope="module")
def signs(data: Data) -> Coded:
    return Coded(data[0], Signs(64), cells=30)


@pytest.fixture(scope="module")
def products(data: Data) -> Coded:
    return Coded(data[0], Products(8, centres=64), cells=30)


def rate(index: Coded, data: Data, probes: int, refine: int | None) -> tuple[float, float]:
    vectors, queries = data
    found = [index.search(query, 10, probes, refine) for query in queries]
    true = search_many(queries, vectors, 10)
    return recall(np.stack([one.ids for one in found]), true), float(np.mean([one.compared for one in found]))


def test_all_read_is_exact(data: Data, signs: Coded, products: Coded) -> None:
    for index in (signs, products):
        found = index.search(data[1][0], 10, probes=30, refine=300)
        assert found.ids.tolist() == search(data[1][0], data[0], 10).ids.tolist()
        assert found.compared == 30 + 3000


def test_estimates_are_near_and_bounds_below(data: Data, signs: Coded) -> None:
    """Over the vectors of a cell, in the order of the lists: the estimate's mean error is small beside the
    distances, and at most a few of a hundred true distances lie below their bound."""
    vectors, queries = data
    below, off = [], []
    for query in queries:
        for cell in range(5):
            start, end = int(signs.starts[cell]), int(signs.starts[cell + 1])
            turned = signs.codec.turned(query[None])[0] - signs.centres[cell]
            estimates, bounds = signs.codec.estimate(turned, start, end)
            true = np.square(vectors[signs.ids[start:end]] - query).sum(axis=1)
            below.append((true < bounds).mean())
            off.append((estimates - true).mean())
    assert 0.005 < np.mean(below) < 0.06
    assert abs(np.mean(off)) < 0.02


def test_refining_brings_recall_with_few_vectors_read(data: Data, signs: Coded, products: Coded) -> None:
    for index in (signs, products):
        once, _ = rate(index, data, 30, 1)
        more, work = rate(index, data, 30, 10)
        assert once < 0.8
        assert more > 0.96
        assert work == 30 + 100


def test_the_bound_decides_how_much_to_read(data: Data, signs: Coded) -> None:
    """Recall without a number to tune, reading less than a tenth; a wider bound reads more, misses less."""
    found, work = rate(signs, data, 30, None)
    assert found > 0.99
    assert work < 0.1 * 3000
    wide = Coded(data[0], Signs(64, epsilon=4.0), cells=30)
    assert rate(wide, data, 30, None)[1] > work
    assert rate(wide, data, 30, None)[0] >= found
    narrow = Coded(data[0], Signs(64, epsilon=0.0), cells=30)
    assert rate(narrow, data, 30, None)[0] < found


def test_a_rotation_spreads_what_lies_in_few_dimensions() -> None:
    """Vectors along few axes are far from every corner of the cube; once rotated they are as near as any."""
    vectors = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
    vectors[:, 4:] *= 0.01
    codec = Signs(64)
    Coded(vectors, codec, cells=5)
    assert codec.codes.aligned.mean() > 0.75
    assert encode(vectors).aligned.mean() < 0.3


def test_codes_are_a_fraction_of_the_vectors(data: Data, signs: Coded, products: Coded) -> None:
    """64 numbers of four bytes; as signs eight bytes and three numbers, as parts eight bytes."""
    assert signs.codec.bytes == 3000 * (8 + 12) + 64 * 64 * 4
    assert products.codec.bytes == 3000 * 8 + 64 * 64 * 4


def test_few_probes_give_what_the_cells_hold() -> None:
    vectors = np.array([[0, 0], [9, 9], [9, 8]], np.float32)
    found = Coded(vectors, Signs(2), cells=2).search(np.zeros(2, np.float32), k=3)
    assert found.ids.tolist() == [0]
