import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbook.rag.nearest.clouds import clouds
from handbook.rag.nearest.exact import Vectors, recall, search, search_many
from handbook.rag.nearest.hnsw import HNSW, Links, search_layer, select, select_plain

Data = tuple[Vectors, Vectors]


@pytest.fixture(scope="module")
def data() -> Data:
    return clouds(1200, 60, dimension=32, centres=20)


@pytest.fixture(scope="module")
def graph(data: Data) -> HNSW:
    return HNSW(data[0], links=8, width=40)


LINE = np.array([[0], [1], [2], [3], [4], [9]], np.float32)


def test_a_walk_by_hand() -> None:
    """On a line, each linked to the next, from 0 towards 3.2: opens 0, 1, 2, 3, 4, where 9 is farther than
    both results are; the two nearest are 3 and 4."""
    links: Links = {0: [1], 1: [0, 2], 2: [1, 3], 3: [2, 4], 4: [3, 5], 5: [4]}
    found, compared = search_layer(np.array([3.2], np.float32), [0], 2, links, LINE)
    assert [id for _, id in found] == [3, 4]
    assert [distance for distance, _ in found] == pytest.approx([0.04, 0.64])
    assert compared == 6


def test_a_narrow_walk_ends_in_a_hollow_that_a_wide_one_leaves() -> None:
    """5 is nearest to the query, but the way there leads uphill through 3, which is farther than 1 is."""
    places = np.array([[2], [1], [9], [-3], [9], [0.1]], np.float32)
    links: Links = {0: [1], 1: [0, 3], 3: [1, 5], 5: [3]}
    query = np.zeros(1, np.float32)
    assert [id for _, id in search_layer(query, [0], 1, links, places)[0]] == [1]
    assert [id for _, id in search_layer(query, [0], 3, links, places)[0]] == [5, 1, 0]


def test_more_entries_than_width() -> None:
    links: Links = {id: [] for id in range(6)}
    found, _ = search_layer(np.array([2.9], np.float32), range(6), 2, links, LINE)
    assert [id for _, id in found] == [3, 2]


def test_selection_spreads_over_directions() -> None:
    """Around 0: 1.0 and 1.1 lie on one side, -2 on the other. The nearest two are on one side; 1.1 is nearer
    to 1.0 than to 0, so -2 gets the link. With three places 1.1 fills the last."""
    places = np.array([[1.0], [1.1], [-2.0], [1.2]], np.float32)
    candidates = [(1.0, 0), (1.21, 1), (1.44, 3), (4.0, 2)]
    for choose in (select_plain, select):
        assert choose(candidates, 2, places) == [0, 2]
        assert choose(candidates, 3, places) == [0, 2, 1]
        assert choose(candidates[:2], 2, places) == [0, 1]


def test_all_distances_at_once_select_the_same(data: Data) -> None:
    vectors, queries = data
    for query in queries[:20]:
        found = search(query, vectors, 50)
        candidates = list(zip(found.distances.tolist(), found.ids.tolist(), strict=True))
        for count in (1, 8, 16, 40):
            assert select(candidates, count, vectors) == select_plain(candidates, count, vectors)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 120))
def test_a_walk_as_wide_as_the_layer_is_exact_over_what_it_reaches(seed: int, width: int) -> None:
    """Random graphs: with room for all, the results are everything that links reach, in order; with less
    room, as many, nearest first, none twice."""
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(60, 4)).astype(np.float32)
    links: Links = {id: draw.choice(60, 2, replace=False).tolist() for id in range(60)}
    reached, open_ = {0}, [0]
    while open_:
        for other in links[open_.pop()]:
            if other not in reached:
                reached.add(other)
                open_.append(other)
    query = draw.normal(size=4).astype(np.float32)
    found, compared = search_layer(query, [0], width, links, vectors)
    assert found == sorted(found)
    assert len({id for _, id in found}) == len(found) <= width
    if width >= 60:
        order = search(query, vectors, 60).ids.tolist()
        assert [id for _, id in found] == [id for id in order if id in reached]
        assert compared == len(reached)


def test_links_keep_their_limits_and_lead_somewhere(graph: HNSW) -> None:
    assert set(graph.layers[0]) == set(range(1200))
    for layer, links in enumerate(graph.layers):
        for id, others in links.items():
            assert len(others) <= (16 if layer == 0 else 8)
            assert len(set(others)) == len(others)
            assert id not in others
            assert set(others) <= set(links)
    assert graph.entry in graph.layers[-1]
    for above, below in zip(graph.layers[1:], graph.layers, strict=False):
        assert set(above) <= set(below)
    assert 0.05 < len(graph.layers[1]) / 1200 < 0.2  # about 1 / M


def test_recall_grows_with_width_at_a_fraction_of_the_work(data: Data, graph: HNSW) -> None:
    vectors, queries = data
    true = search_many(queries, vectors, 10)
    rates, work = [], []
    for width in (10, 40, 100):
        found = [graph.search(query, 10, width) for query in queries]
        rates.append(recall(np.stack([one.ids for one in found]), true))
        work.append(np.mean([one.compared for one in found]))
    assert rates == sorted(rates)
    assert rates[0] < 0.98 < 0.99 <= rates[-1]
    assert work[0] < 0.2 * len(vectors)
    assert work == sorted(work)


def test_every_vector_finds_itself(data: Data, graph: HNSW) -> None:
    found = [graph.search(vector, 1, 40).ids[0] for vector in data[0][::10]]
    assert np.mean(np.array(found) == np.arange(0, 1200, 10)) > 0.98


def test_clouds_far_apart_stay_linked_by_the_heuristic() -> None:
    """Two tight clouds, inserted one after the other: the M nearest of a vector all lie in its own cloud, and
    links by nearness alone would part them. Chosen over directions, some links cross."""
    draw = np.random.default_rng(1)
    left = draw.normal(size=(200, 8)).astype(np.float32) * 0.01
    vectors = np.concatenate([left, left + 5]).astype(np.float32)
    graph = HNSW(vectors, links=6, width=20)
    for query in (vectors[3], vectors[203]):
        assert graph.search(query, 5, 20).ids.tolist() == search(query, vectors, 5).ids.tolist()


def test_high_layers_cross_the_data_in_a_few_steps() -> None:
    """A line of 1,500 places: in layer 0 a walk from the entry can pass many of those between, with the
    layers above it a few at each height, wherever it leads."""
    line = np.arange(1500, dtype=np.float32)[np.random.default_rng(0).permutation(1500), None]
    graph = HNSW(line, links=4, width=8)
    queries = [np.array([value], np.float32) for value in range(5, 1500, 100)]
    flat = [search_layer(query, [graph.entry], 1, graph.layers[0], line)[1] for query in queries]
    layered = [graph.search(query, 1, 1) for query in queries]
    assert [line[one.ids[0], 0] for one in layered] == list(range(5, 1500, 100))
    assert max(one.compared for one in layered) < 0.3 * max(flat)


def test_few_vectors_and_none() -> None:
    assert HNSW(np.empty((0, 3), np.float32)).search(np.zeros(3, np.float32), 5).ids.tolist() == []
    assert HNSW(LINE[:1]).search(np.zeros(1, np.float32), 5).ids.tolist() == [0]
    assert HNSW(LINE).search(np.array([4], np.float32), 3).ids.tolist() == [4, 3, 2]


def test_bad_input_says_what_was_expected() -> None:
    with pytest.raises(ValueError, match="at least 2 links"):
        HNSW(LINE, links=1)
