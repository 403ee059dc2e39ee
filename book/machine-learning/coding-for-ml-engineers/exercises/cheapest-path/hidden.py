"""Hidden tests: every route by brute force, zero latencies, services of any kind, large graphs."""

import itertools
import random

from handbook.practice.checks import equal, inside, raises, unchanged


def growth_input(n):
    chance = random.Random(n)
    links = {i: [(i + 1, 100)] for i in range(n)}
    for i in range(n):
        links[i] += [(chance.randrange(n), chance.randint(100, 400)) for _ in range(3)]
    return links, 0, -1  # which is nowhere, so everything is visited


def every_route(links, start, goal):
    """The smallest latency over all routes without repetitions."""
    best = None

    def walk(place, time, met):
        nonlocal best
        if place == goal:
            best = time if best is None else min(best, time)
            return
        for other, latency in links.get(place, []):
            if other not in met:
                walk(other, time + latency, met | {other})

    walk(start, 0, {start})
    return best


def check(got, links, start, goal, expected, what):
    """The latency is the expected one, and the route exists and takes it."""
    if expected is None:
        equal(got, None, what)
        return
    assert isinstance(got, tuple), f"{what}: expected a latency of {expected} and a route, got {got!r}"
    latency, route = got
    equal(latency, expected, f"{what}, latency")
    equal((route[:1], route[-1:]), ([start], [goal]), f"{what}, ends of the route {route[:20]}")
    total = 0
    for place, other in itertools.pairwise(route):
        costs = [cost for end, cost in links.get(place, []) if end == other]
        assert costs, (
            f"{what}: expected links along the route {route[:20]}, got none from {place!r} to {other!r}"
        )
        total += min(costs)
    equal(total, expected, f"{what}, sum along the route {route[:20]}")


def test_equals_trying_every_route(submission):
    """Random links between six services, latencies from 0."""
    for seed in range(120):
        chance = random.Random(seed)
        links = {}
        for place in range(5):
            links[place] = [(chance.randrange(6), chance.randint(0, 9)) for _ in range(chance.randrange(4))]
        for goal in (3, 5):
            got = submission.quickest_route(links, 0, goal)
            check(got, links, 0, goal, every_route(links, 0, goal), f"links {links}, 0 to {goal}")


def test_time_of_a_place_improves(submission):
    """Reached early over a slow link, later over quick ones."""
    links = {"a": [("d", 10), ("b", 1)], "b": [("c", 1)], "c": [("d", 1)], "d": [("e", 1)]}
    got = submission.quickest_route(links, "a", "e")
    equal(got, (4, ["a", "b", "c", "d", "e"]), f"links {links}, a to e")


def test_several_links_between_two_services(submission):
    """The quickest of them counts, wherever it stands."""
    links = {"a": [("b", 5), ("b", 2), ("b", 7)]}
    equal(submission.quickest_route(links, "a", "b"), (2, ["a", "b"]), f"links {links}, a to b")


def test_circles_and_zeros(submission):
    """Links of latency 0 that go round in a circle end too."""
    links = {"a": [("b", 0), ("a", 0)], "b": [("a", 0), ("c", 0)], "c": [("b", 0)]}
    equal(submission.quickest_route(links, "a", "c"), (0, ["a", "b", "c"]), f"links {links}, a to c")
    equal(submission.quickest_route(links, "a", "z"), None, f"links {links}, a to z")


def test_services_of_any_kind(submission):
    """Services that cannot be compared with each other, at equal latencies."""
    links = {
        None: [(("eu", 1), 3), ("us", 3), (7, 3)],
        ("eu", 1): [(8.5, 2)],
        "us": [(8.5, 1)],
        7: [(8.5, 2)],
    }
    equal(submission.quickest_route(links, None, 8.5), (4, [None, "us", 8.5]), f"links {links}")


def test_negative_latency_out_of_reach(submission):
    """A link that cannot be reached is not looked at; one on a way to nowhere is."""
    links = {"a": [("b", 1)], "x": [("y", -5)]}
    equal(submission.quickest_route(links, "a", "b"), (1, ["a", "b"]), f"links {links}, a to b")
    raises(ValueError, submission.quickest_route, {"a": [("b", -1)]}, "a", "z", what="a latency of -1")


def test_ladder(submission):
    """2 to the 2,000 routes of the same latency: they cannot be followed one by one."""
    links = {}
    for i in range(2_000):
        links[i] = [((i, "left"), 1), ((i, "right"), 1)]
        links[(i, "left")] = links[(i, "right")] = [(i + 1, 1)]
    got = submission.quickest_route(links, 0, 2_000)
    check(got, links, 0, 2_000, 4_000, "2,000 rungs, from the bottom to the top")


def dense(n):
    """Each of n services can be reached directly, and more quickly through all before it."""
    return {i: [(j, 2 if j == i + 1 else 3 * (j - i)) for j in range(n, i, -1)] for i in range(n)}


def most_looks(submission, links, start, goal):
    """How often the links of one service were gone through, at most."""
    looks = {}

    class Ways(list):
        def __init__(self, place, ways):
            super().__init__(ways)
            self.place = place

        def __iter__(self):
            looks[self.place] = looks.get(self.place, 0) + 1
            return super().__iter__()

    submission.quickest_route({place: Ways(place, ways) for place, ways in links.items()}, start, goal)
    return max(looks.values())


def test_slow_ways_are_met_first(submission):
    """Services that are reached again and again, each time a little more quickly."""
    got = submission.quickest_route(dense(200), 0, 200)
    check(got, dense(200), 0, 200, 400, "200 services with links to all later ones")


def test_links_are_followed_once(submission):
    """A service is finished once, however often it was reached."""
    got = inside(submission, most_looks, dense(40), 0, 40)
    assert got <= 3, f"looks at the links of one service: expected one (three pass), got {got}"


def test_links_stay_as_they_were(submission):
    """The argument is not changed, and no services are added to it."""
    links = {"a": [("b", 2), ("c", 1)], "c": [("b", 0)]}
    submission.quickest_route(links, "a", "b")
    unchanged(links, {"a": [("b", 2), ("c", 1)], "c": [("b", 0)]}, "links")
