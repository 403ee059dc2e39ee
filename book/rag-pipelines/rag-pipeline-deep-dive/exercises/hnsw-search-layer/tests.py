"""Visible tests: the example, narrow and wide; a whole graph; several entries; where a walk ends."""

import numpy as np

VECTORS = np.array([[0.0], [2.0], [3.0], [5.0], [9.0], [6.0]], dtype=np.float32)
LINKS = {0: [1, 4], 1: [0, 2], 2: [1, 3], 3: [2, 5], 4: [0], 5: [3]}
QUERY = np.array([6.2], dtype=np.float32)


def check(got, expected, compared, what):
    found, count = got
    ids, right = [id for _, id in found], [id for _, id in expected]
    assert ids == right, f"{what}: expected the ids {right}, got {ids}"
    for (distance, id), (wanted, _) in zip(found, expected, strict=True):
        assert abs(distance - wanted) < 1e-3, f"{what}, distance of {id}: expected {wanted}, got {distance}"
    assert count == compared, f"{what}: expected {compared} vectors compared, got {count}"


def test_worked_example_narrow(submission):
    got = submission.search_layer(QUERY, [0], 1, LINKS, VECTORS)
    check(got, [(7.84, 4)], 3, "the example, width 1")


def test_worked_example_wide(submission):
    got = submission.search_layer(QUERY, [0], 2, LINKS, VECTORS)
    check(got, [(0.04, 5), (1.44, 3)], 6, "the example, width 2")


def test_as_wide_as_the_graph_finds_all(submission):
    got = submission.search_layer(QUERY, [4], 6, LINKS, VECTORS)
    expected = [(0.04, 5), (1.44, 3), (7.84, 4), (10.24, 2), (17.64, 1), (38.44, 0)]
    check(got, expected, 6, "the example, width 6, from 4")


def test_several_entries(submission):
    got = submission.search_layer(QUERY, [0, 2], 2, LINKS, VECTORS)
    check(got, [(0.04, 5), (1.44, 3)], 5, "entries 0 and 2, width 2")


def test_walk_ends_where_it_leads_away(submission):
    """A street of 100 numbers, and a query at its beginning."""
    vectors = np.arange(100, dtype=np.float32)[:, None]
    links = {i: [j for j in (i - 1, i + 1) if 0 <= j < 100] for i in range(100)}
    query = np.array([-1.0], dtype=np.float32)
    got = submission.search_layer(query, [0], 3, links, vectors)
    check(got, [(1.0, 0), (4.0, 1), (9.0, 2)], 4, "a street of 100, query before its first")
