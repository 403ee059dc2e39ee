"""Hidden tests: the rule over random graphs, entries of every kind, islands, circles, what is compared."""

import random

import numpy as np

from handbook.practice.checks import inside


def walk(query, entries, width, links, vectors):
    """The rule with plain lists, sorted anew each time."""
    distance = {}

    def look(id):
        distance[id] = float(((vectors[id].astype(np.float64) - query) ** 2).sum())
        return distance[id]

    results = sorted({(look(id), id) for id in entries})[:width]
    candidates = sorted((distance[id], id) for id in distance)
    while candidates:
        nearest, id = candidates.pop(0)
        if len(results) == width and nearest > results[-1][0]:
            break
        for other in links[id]:
            if other not in distance:
                pair = (look(other), other)
                if len(results) < width or pair < results[-1]:
                    candidates = sorted([*candidates, pair])
                    results = sorted([*results, pair])[:width]
    return results, len(distance)


def check(got, expected, what):
    found, count = got
    ids, right = [id for _, id in found], [id for _, id in expected[0]]
    assert ids == right, f"{what}: expected the ids {right}, got {ids}"
    for (distance, id), (wanted, _) in zip(found, expected[0], strict=True):
        assert abs(distance - wanted) < 1e-3 * max(1.0, wanted), (
            f"{what}, distance of {id}: expected {wanted:.4f}, got {distance:.4f}"
        )
    assert count == expected[1], f"{what}: expected {expected[1]} vectors compared, got {count}"


def graph(seed, n=40, each=3):
    """A random directed graph, links by chance and not by distance: harder to walk than a real one."""
    chance = random.Random(seed)
    vectors = np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)
    links = {i: chance.sample([j for j in range(n) if j != i], each) for i in range(n)}
    return vectors, links, np.random.default_rng(seed + 1000).normal(size=2).astype(np.float32)


def test_equals_the_rule(submission):
    for seed in range(40):
        vectors, links, query = graph(seed)
        chance = random.Random(seed)
        entries = chance.sample(range(40), chance.randint(1, 4))
        for width in (1, 2, 5, 12):
            got = submission.search_layer(query, entries, width, links, vectors)
            expected = walk(query, entries, width, links, vectors)
            check(got, expected, f"graph {seed}, entries {entries}, width {width}")


def test_more_entries_than_width(submission):
    vectors, links, query = graph(3)
    for width in (1, 2):
        got = submission.search_layer(query, range(10), width, links, vectors)
        check(got, walk(query, range(10), width, links, vectors), f"ten entries, width {width}")
        assert len(got[0]) == width, f"ten entries: expected {width} results, got {len(got[0])}"


def from_a_generator(submission, query, entries, width, links, vectors):
    """A driver: entries that can be gone through once only."""
    return submission.search_layer(query, (id for id in entries), width, links, vectors)


def test_entries_of_any_kind(submission):
    """Named twice, from a generator, a set, an array's own integers."""
    vectors, links, query = graph(4)
    expected = walk(query, [1, 2], 4, links, vectors)
    kinds = {"named twice": [1, 2, 1, 1], "as a set": {1, 2}, "as an array": np.array([1, 2])}
    for kind, entries in kinds.items():
        check(submission.search_layer(query, entries, 4, links, vectors), expected, f"entries {kind}")
    got = inside(submission, from_a_generator, query, [1, 2], 4, links, vectors)
    check(got, expected, "entries from a generator")


def test_a_candidate_as_far_as_the_worst_result_is_opened(submission):
    """With a width of 1 the entry is both."""
    vectors = np.array([[3.0], [2.0], [1.0]], dtype=np.float32)
    links = {0: [1], 1: [2], 2: []}
    got = submission.search_layer(np.zeros(1, np.float32), [0], 1, links, vectors)
    check(got, ([(1.0, 2)], 3), "three steps downhill, width 1")


def test_farther_ones_are_kept_while_there_is_room(submission):
    vectors = np.array([[1.0], [5.0], [2.0]], dtype=np.float32)
    links = {0: [1], 1: [2], 2: []}
    got = submission.search_layer(np.zeros(1, np.float32), [0], 2, links, vectors)
    check(got, ([(1.0, 0), (4.0, 2)], 3), "the second lies behind one farther off, width 2")


def test_islands(submission):
    vectors = np.array([[5.0], [4.0], [0.1], [0.2]], dtype=np.float32)
    links = {0: [1], 1: [0], 2: [3], 3: [2]}
    query = np.zeros(1, np.float32)
    got = submission.search_layer(query, [0], 4, links, vectors)
    check(got, ([(16.0, 1), (25.0, 0)], 2), "the nearest two are on another island, width 4")
    got = submission.search_layer(query, [0, 2], 3, links, vectors)
    check(got, walk(query, [0, 2], 3, links, vectors), "an entry on each island, width 3")


def test_circles(submission):
    vectors = np.array([[3.0], [1.0], [2.0]], dtype=np.float32)
    links = {0: [0, 1, 1], 1: [2, 0], 2: [0, 1, 2]}
    got = submission.search_layer(np.zeros(1, np.float32), [0], 3, links, vectors)
    check(got, ([(1.0, 1), (4.0, 2), (9.0, 0)], 3), "links to itself, and one named twice")


def test_an_entry_without_links(submission):
    got = submission.search_layer(np.zeros(1, np.float32), [0], 5, {0: []}, np.ones((1, 1), np.float32))
    check(got, ([(1.0, 0)], 1), "one vector without neighbours")


def test_calls_do_not_hang_together(submission):
    vectors, links, query = graph(6)
    kept = {id: list(others) for id, others in links.items()}
    first = submission.search_layer(query, [0], 3, links, vectors)
    submission.search_layer(-query, [1], 5, links, vectors)
    again = submission.search_layer(query, [0], 3, links, vectors)
    assert again == first, f"the same search once more: expected {first}, got {again}"
    assert links == kept, "links: expected unchanged, got others"


def test_kinds_of_results(submission):
    vectors, links, query = graph(7)
    found, count = submission.search_layer(query, [0], 3, links, vectors)
    kinds = {(type(distance), type(id)) for distance, id in found}
    assert kinds == {(float, int)}, f"results: expected pairs of float and int, got {kinds}"
    assert type(count) is int, f"vectors compared: expected int, got {type(count).__name__}"


def rows_read(submission, query, entries, width, links, vectors):
    """A driver: how many rows of vectors are taken by index, and how many the walk says that it compared."""
    import numpy as np

    taken = []

    class Counted(np.ndarray):
        def __getitem__(self, index):
            out = super().__getitem__(index)
            taken.append(out.shape[0] if np.ndim(out) == 2 else 1)
            return np.asarray(out)

    _, count = submission.search_layer(query, entries, width, links, vectors.view(Counted))
    return sum(taken), count


def test_each_vector_is_read_once(submission):
    vectors, links, query = graph(8)
    read, count = inside(submission, rows_read, query, [0], 6, links, vectors)
    assert read <= count, f"rows of vectors that were read: expected {count}, once each, got {read}"


def peak(submission, name, args):
    """A driver: bytes at most while it runs, and what came of it."""
    import tracemalloc

    tracemalloc.start()
    try:
        got = getattr(submission, name)(*args)
        return tracemalloc.get_traced_memory()[1], got
    finally:
        tracemalloc.stop()


def test_only_what_is_met_is_compared(submission):
    """50,000 vectors, of which the walk can meet six."""
    vectors = np.zeros((50_000, 16), np.float32)
    vectors[:6, 0] = [5, 4, 3, 2, 1, 6]
    links = {i: [(i + 1) % 6] for i in range(6)}
    query = np.zeros(16, np.float32)
    most, (found, _) = inside(submission, peak, "search_layer", (query, [5], 2, links, vectors))
    assert [id for _, id in found] == [4, 3], f"six in a ring: expected [4, 3], got {found}"
    assert most < 100_000, f"memory: expected below 100 kB for six of 50,000, got {most:,} bytes"
