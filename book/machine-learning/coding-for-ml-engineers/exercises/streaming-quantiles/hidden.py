"""Hidden tests: orders of arrival, equal values, extremes, merges, memory of a long stream, infinities."""

import random
from bisect import bisect_left, bisect_right
from math import inf, log2

from handbook.practice.checks import equal, inside

SHARES = [0.0, 0.0005, 0.05, 0.1, 0.333, 0.5, 0.9, 0.95, 0.9995, 1.0]


def sketch(submission, eps, parts, asked, shares, way):
    """(ranks of asked, quantiles of shares, numbers held, count) of sketches of parts, merged in a way."""
    found = []
    for part in parts:
        s = submission.Quantiles(eps)
        for value in part:
            s.add(value)
        found.append(s)
    while len(found) > 1:
        if way == "tree":
            for a, b in zip(found[::2], found[1::2], strict=False):
                a.merge(b)
            found = found[::2]
        else:
            found[0].merge(found.pop(1))
    s = found[0]
    return [float(s.rank(x)) for x in asked], [float(s.quantile(q)) for q in shares], s.held(), s.count


def check(submission, eps, parts, what, way="line"):
    """Ranks and quantiles against the sorted stream, memory against the bound."""
    values = [v for part in parts for v in part]
    n, ordered = len(values), sorted(values)
    asked = [*ordered[:: max(1, n // 150)], ordered[0] - 1, ordered[-1] + 1]
    ranks, quantiles, held, count = inside(submission, sketch, eps, parts, asked, SHARES, way)
    equal(count, n, f"count, {what}")
    for x, rank in zip(asked, ranks, strict=True):
        true = bisect_right(ordered, x)
        assert abs(rank - true) <= eps * n, (
            f"rank of {x}, {what}: expected {true} within {eps * n:g}, got {rank}"
        )
    equal(ranks[-2:], [0.0, float(n)], f"rank below and above all, {what}")
    for q, value in zip(SHARES, quantiles, strict=True):
        low, high = bisect_left(ordered, value) + 1, bisect_right(ordered, value)
        assert low <= high, f"quantile {q}, {what}: expected a value of the stream, got {value}"
        off = max(low - q * n, q * n - high, 0)
        assert off <= eps * n + 1, (
            f"quantile {q}, {what}: expected a rank near {q * n:g}, got {low} to {high}"
        )
    equal((quantiles[0], quantiles[-1]), (ordered[0], ordered[-1]), f"smallest and largest, {what}")
    most = 4 / eps * (log2(eps * n + 2) + 2) ** 2
    assert held < most, f"numbers held, {what}: expected below {most:.0f}, got {held}"
    least = min(len(set(values)), 1 / eps) / 2  # with fewer no sketch can keep its promise
    assert held >= least, f"numbers held, {what}: expected at least {least:g}, got {held}"


def test_many_orders_of_arrival(submission):
    """Random, in runs, in waves, towards the middle, with outliers first."""
    rng = random.Random(1)
    n = 12_000
    streams = {
        "random": [rng.random() for _ in range(n)],
        "long-tailed": [rng.paretovariate(1.1) for _ in range(n)],
        "in runs": [float((i % 100) * 1000 + i) for i in range(n)],
        "in waves": [float((i * i) % 7919) for i in range(n)],
        "towards the middle": [float(i if i % 2 else -i) for i in range(n, 0, -1)],
        "outliers first": [1e9] * 50 + [rng.gauss(0, 1) for _ in range(n)],
    }
    for what, values in streams.items():
        for eps in (0.05, 0.01):
            check(submission, eps, [values], f"{what}, eps {eps}")


def test_equal_values(submission):
    """One value, two values, ten values with very different shares."""
    rng = random.Random(2)
    check(submission, 0.05, [[3.5] * 5000], "all equal")
    check(submission, 0.05, [[1.0] * 4990 + [2.0] * 10], "ten of another")
    check(submission, 0.05, [[float(min(9, int(rng.expovariate(1)))) for _ in range(6000)]], "ten values")


def test_every_length(submission):
    """Streams of 1 to 400 values, around every compaction, with eps = 0.3 and 0.1."""
    for eps in (0.3, 0.1, 0.9):
        for n in (*range(1, 60), 97, 128, 255, 256, 400):
            check(submission, eps, [[float((37 * i) % n) for i in range(n)]], f"{n} values, eps {eps}")


def test_many_merges(submission):
    """60 servers with up to 400 requests each, some without any, merged in a line and as a tree."""
    rng = random.Random(3)
    parts = [[rng.gauss(server, 3) for _ in range(rng.randint(0, 400))] for server in range(60)]
    for way in ("line", "tree"):
        check(submission, 0.02, parts, f"60 servers merged as a {way}", way)
    single = [[float(v)] for v in range(8000)]
    check(submission, 0.1, single, "8,000 servers of one request each")


def test_merge_leaves_the_other(submission):
    """The other answers as before and goes on by itself; merging into itself doubles all."""
    first, second = submission.Quantiles(0.2), submission.Quantiles(0.2)
    for n in range(200):
        second.add(float(n))
    before = [float(second.rank(float(x))) for x in range(0, 200, 10)], second.held()
    first.merge(second)
    for n in range(300):
        first.add(float(-n))
    after = [float(second.rank(float(x))) for x in range(0, 200, 10)], second.held()
    equal(after, before, "ranks and numbers held of the other")
    equal(
        (first.count, second.count, float(second.quantile(0))), (500, 200, 0.0), "counts, and the other's low"
    )
    second.merge(second)
    equal(second.count, 400, "count after merging into itself")
    got = float(second.rank(99.0))
    assert abs(got - 200) <= 80, f"rank of 99 after merging into itself: expected 200 within 80, got {got}"


def test_empty_merges(submission):
    """Nothing into nothing, nothing into something."""
    first, second = submission.Quantiles(0.5), submission.Quantiles(0.5)
    first.merge(second)
    equal((first.count, float(first.rank(1.0))), (0, 0.0), "two empty sketches")
    first.add(2.0)
    first.merge(second)
    second.merge(first)
    equal((second.count, float(second.quantile(0.5)), float(second.rank(2.0))), (1, 2.0, 1.0), "one value")


def test_infinities(submission):
    """Requests that never ended are +inf; they are values like others."""
    s = submission.Quantiles(0.1)
    for value in (inf, 1.0, 2.0, -inf, inf):
        s.add(value)
    equal([float(s.rank(x)) for x in (-inf, 0.0, 2.0, inf)], [1.0, 1.0, 3.0, 5.0], "ranks with infinities")
    equal((s.quantile(0), s.quantile(1)), (-inf, inf), "smallest and largest")


def test_asking_changes_nothing(submission):
    """A sketch that is asked all the time ends like one that is never asked."""
    plain, asked = submission.Quantiles(0.2), submission.Quantiles(0.2)
    for n in range(150):
        value = float((n * 31) % 101)
        plain.add(value)
        asked.add(value)
        asked.rank(50.0)
        asked.quantile(0.9)
    expected = [float(plain.rank(float(x))) for x in range(0, 101, 4)], float(plain.quantile(0.9))
    got = [float(asked.rank(float(x))) for x in range(0, 101, 4)], float(asked.quantile(0.9))
    equal(got, expected, "ranks and a quantile")


def long_stream(submission, n, eps):
    """Ranks and numbers held, looked at on the way, of the places 0, p, 2p ... modulo n."""
    s = submission.Quantiles(eps)
    most = 0
    for i in range(n):
        s.add((i * 7_368_787) % n)
        if i % 1000 == 0:
            most = max(most, s.held())
    return [float(s.rank(x)) for x in range(0, n, n // 50)], max(most, s.held())


def test_long_stream(submission):
    """200,000 values: error and memory."""
    n, eps = 200_000, 0.01
    ranks, held = inside(submission, long_stream, n, eps)
    for x, rank in zip(range(0, n, n // 50), ranks, strict=True):
        assert abs(rank - (x + 1)) <= eps * n, f"rank of {x}: expected {x + 1} within {eps * n:g}, got {rank}"
    most = 4 / eps * (log2(eps * n + 2) + 2) ** 2
    assert held < most, f"numbers held at most: expected below {most:.0f}, got {held}"
    assert held < 20_000, f"numbers held at most: expected below 20,000 of 200,000, got {held}"


def growth_driver(submission, n):
    """n values through a sketch, then a median."""
    s = submission.Quantiles(0.05)
    for i in range(n):
        s.add((i * 7_368_787) % n)
    s.quantile(0.5)
