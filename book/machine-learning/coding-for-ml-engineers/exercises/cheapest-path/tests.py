"""Visible tests: the example, a way of many steps, no way, staying, a negative latency."""

from handbook.practice.checks import equal, raises

LINKS = {
    "gateway": [("cache", 2), ("ranker", 9)],
    "cache": [("index", 3), ("ranker", 8)],
    "index": [("ranker", 1)],
}


def test_worked_example(submission):
    """The example of the statement."""
    expected = (6, ["gateway", "cache", "index", "ranker"])
    equal(submission.quickest_route(LINKS, "gateway", "ranker"), expected, "gateway to ranker")
    equal(submission.quickest_route(LINKS, "ranker", "gateway"), None, "ranker to gateway")


def test_fewest_links_is_not_quickest(submission):
    """Five quick links beat one slow one."""
    links = {i: [(i + 1, 1)] for i in range(5)}
    links[0] = [(5, 6), (1, 1)]
    equal(submission.quickest_route(links, 0, 5), (5, [0, 1, 2, 3, 4, 5]), f"links {links}, 0 to 5")


def test_staying(submission):
    """From a service to itself, known or not."""
    equal(submission.quickest_route(LINKS, "cache", "cache"), (0, ["cache"]), "cache to cache")
    equal(submission.quickest_route({}, "x", "x"), (0, ["x"]), "x to x without links")


def test_links_go_one_way(submission):
    """What leads there does not lead back, and unknown services have no way."""
    equal(submission.quickest_route({"a": [("b", 1)]}, "b", "a"), None, "b to a over a link from a to b")
    equal(submission.quickest_route({"a": [("b", 1)]}, "a", "z"), None, "a to an unknown service")


def test_negative_latency_is_refused(submission):
    """A negative latency on the way raises ValueError."""
    links = {"a": [("b", 4), ("c", 2)], "b": [("c", -3)], "c": [("d", 9)]}
    raises(ValueError, submission.quickest_route, links, "a", "d", what="a latency of -3")
