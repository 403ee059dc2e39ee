import numpy as np
import pytest

from handbook.rag.nearest.clouds import clouds
from handbook.rag.nearest.coded import Coded, Products, Signs
from handbook.rag.nearest.exact import Ids, Vectors, recall, search, search_many, squared_distances
from handbook.rag.nearest.kmeans import assign
from handbook.rag.nearest.product import decode
from handbook.rag.nearest.rabitq import encode

Data = tuple[Vectors, Vectors]


@pytest.fixture(scope="module")
def data() -> Data:
    return clouds(3000, 30, dimension=64)


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


def estimated(index: Coded, query: Vectors, cells: list[int]) -> tuple[Vectors, Vectors, Ids]:
    """Estimates and bounds of the vectors of some cells, and their ids."""
    runs = [(int(index.starts[cell]), int(index.starts[cell + 1])) for cell in cells]
    turned = index.codec.turned(query[None])[0]
    estimates, bounds = index.codec.estimate(turned, index.centres[cells], runs)
    return estimates, bounds, np.concatenate([index.ids[start:end] for start, end in runs])


def test_estimates_of_products_are_distances_to_the_decoded(data: Data, products: Coded) -> None:
    codec = products.codec
    assert isinstance(codec, Products)
    for query in data[1][:5]:
        estimates, bounds, ids = estimated(products, query, [3, 0, 7])
        decoded = np.empty_like(data[0])
        cells = assign(data[0], products.centres)[0][products.ids]
        decoded[products.ids] = products.centres[cells] + decode(codec.codes, codec.books)
        np.testing.assert_allclose(estimates, squared_distances(query, decoded[ids]), atol=1e-5)
        assert np.array_equal(estimates, bounds)


def test_estimates_of_signs_are_near_and_bounds_below(data: Data, signs: Coded) -> None:
    """Their mean error is small beside the distances, and at most a few of a hundred true distances lie below
    their bound."""
    below, off = [], []
    for query in data[1]:
        estimates, bounds, ids = estimated(signs, query, list(range(5)))
        true = squared_distances(query, data[0][ids])
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
    """64 numbers of four bytes; as signs eight bytes and two numbers, as parts eight bytes and one."""
    assert signs.codec.bytes == 3000 * (8 + 8) + 64 * 64 * 4
    assert products.codec.bytes == 3000 * (8 + 4) + 64 * 64 * 4


def test_few_probes_give_what_the_cells_hold() -> None:
    vectors = np.array([[0, 0], [9, 9], [9, 8]], np.float32)
    found = Coded(vectors, Signs(2), cells=2).search(np.zeros(2, np.float32), k=3)
    assert found.ids.tolist() == [0]


def test_bad_input_says_what_was_expected(data: Data, signs: Coded) -> None:
    for probes, refine in ((0, None), (1, 0)):
        with pytest.raises(ValueError, match="at least 1 probe"):
            signs.search(data[1][0], 3, probes, refine)
