import numpy as np
import pytest

from handbook.rag.nearest.clouds import clouds
from handbook.rag.nearest.exact import Vectors, recall, search, search_many, squared_distances
from handbook.rag.nearest.ivf import IVF, grouped

Data = tuple[Vectors, Vectors]


@pytest.fixture(scope="module")
def data() -> Data:
    return clouds(3000, 50, dimension=32)


@pytest.fixture(scope="module")
def index(data: Data) -> IVF:
    return IVF(data[0], cells=48)


def test_lists_hold_each_id_once_in_its_cell() -> None:
    cells = np.array([2, 0, 2, 0, 0])
    order, starts = grouped(cells, 4)
    assert order.tolist() == [1, 3, 4, 0, 2]
    assert starts.tolist() == [0, 3, 3, 5, 5]  # cells 1 and 3 are empty


def test_every_cell_probed_is_exact(data: Data, index: IVF) -> None:
    for query in data[1][:10]:
        found, true = index.search(query, 10, probes=48), search(query, data[0], 10)
        assert found.ids.tolist() == true.ids.tolist()
        np.testing.assert_allclose(found.distances, true.distances, atol=1e-6)
        assert found.compared == 3000 + 48


def test_recall_grows_with_probes_and_few_suffice(data: Data, index: IVF) -> None:
    vectors, queries = data
    true = search_many(queries, vectors, 10)
    rates, work = [], []
    for probes in (1, 4, 8):
        found = [index.search(query, 10, probes) for query in queries]
        rates.append(recall(np.stack([one.ids for one in found]), true))
        work.append(np.mean([one.compared for one in found]))
    assert rates == sorted(rates)
    assert rates[0] < 0.9 < 0.95 < rates[-1]
    assert work[-1] < 0.4 * len(vectors)


def test_distances_belong_to_the_ids(data: Data, index: IVF) -> None:
    vectors, queries = data
    found = index.search(queries[0], 5, probes=2)
    np.testing.assert_allclose(found.distances, squared_distances(queries[0], vectors[found.ids]), atol=1e-6)
    assert found.distances.tolist() == sorted(found.distances.tolist())


def test_small_cells_give_what_they_have() -> None:
    vectors = np.array([[0, 0], [9, 9], [9, 8]], np.float32)
    found = IVF(vectors, cells=2).search(np.zeros(2, np.float32), k=3, probes=1)
    assert found.ids.tolist() == [0]


def test_more_cells_than_vectors_is_refused(data: Data) -> None:
    with pytest.raises(ValueError, match="between 1 and 3"):
        IVF(data[0][:3], cells=4)


def test_no_probe_at_all_is_refused(data: Data, index: IVF) -> None:
    with pytest.raises(ValueError, match="at least 1 probe"):
        index.search(data[1][0], 3, probes=0)
