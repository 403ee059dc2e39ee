"""Visible tests: the worked example, a guaranteed error, memory, merging, bad arguments."""

from bisect import bisect_left, bisect_right

from handbook.practice.checks import equal, inside, raises


def test_worked_example(submission):
    """The statement's example."""
    s = submission.Quantiles(0.1)
    equal((s.count, float(s.rank(3.0))), (0, 0.0), "count and rank of nothing")
    for value in (5.0, 1.0, 4.0, 1.0):
        s.add(value)
    equal(s.count, 4, "count")
    for value, expected in ((0.0, 0.0), (1.0, 2.0), (4.5, 3.0), (9.0, 4.0)):
        equal(float(s.rank(value)), expected, f"rank of {value}")
    equal((float(s.quantile(0)), float(s.quantile(1))), (1.0, 5.0), "quantiles 0 and 1")
    assert s.quantile(0.5) in (1.0, 4.0), f"quantile 0.5: expected 1 or 4, got {s.quantile(0.5)}"


def sketch(submission, eps, values, asked, shares):
    """(ranks of asked, quantiles of shares, numbers held, count) of a sketch of values."""
    s = submission.Quantiles(eps)
    for value in values:
        s.add(value)
    return [float(s.rank(x)) for x in asked], [float(s.quantile(q)) for q in shares], s.held(), s.count


def check(got, eps, values, asked, shares, what):
    """Ranks and quantiles against the sorted stream, memory against the bound."""
    from math import log2

    ranks, quantiles, held, count = got
    n, ordered = len(values), sorted(values)
    equal(count, n, f"count, {what}")
    for x, rank in zip(asked, ranks, strict=True):
        true = bisect_right(ordered, x)
        assert abs(rank - true) <= eps * n, (
            f"rank of {x}, {what}: expected {true} within {eps * n:g}, got {rank}"
        )
    for q, value in zip(shares, quantiles, strict=True):
        low, high = bisect_left(ordered, value) + 1, bisect_right(ordered, value)
        assert low <= high, f"quantile {q}, {what}: expected a value of the stream, got {value}"
        off = max(low - q * n, q * n - high, 0)
        assert off <= eps * n + 1, (
            f"quantile {q}, {what}: expected a rank near {q * n:g}, got {low} to {high}"
        )
    most = 4 / eps * (log2(eps * n + 2) + 2) ** 2
    assert held < most, f"numbers held, {what}: expected below {most:.0f}, got {held}"


SHARES = [0.0, 0.001, 0.01, 0.25, 0.5, 0.75, 0.99, 0.999, 1.0]


def test_error_of_ordered_streams(submission):
    """30,000 latencies rising, falling, and from both ends."""
    up = [float(v) for v in range(30_000)]
    ends = [v for pair in zip(up[:15_000], up[:14_999:-1], strict=True) for v in pair]
    asked = [*up[::500], -1.0, 29_998.5, 40_000.0]
    for what, values in (("rising", up), ("falling", up[::-1]), ("from both ends", ends)):
        check(inside(submission, sketch, 0.02, values, asked, SHARES), 0.02, values, asked, SHARES, what)


def test_small_streams_are_exact(submission):
    """Up to 1 / eps values every rank is right."""
    values = [float((7 * n) % 50) for n in range(50)]
    ranks = inside(submission, sketch, 0.02, values, values, [0.5])[0]
    equal(ranks, [v + 1 for v in values], "ranks of 50 values with eps = 0.02")


def test_merging_two(submission):
    """Two servers with different latencies."""
    first, second = submission.Quantiles(0.1), submission.Quantiles(0.1)
    for n in range(300):
        first.add(float(n))
        second.add(float(1000 + n))
    equal(first.merge(second), None, "what merge returns")
    equal((first.count, second.count), (600, 300), "counts after a merge")
    equal((float(first.quantile(0)), float(first.quantile(1))), (0.0, 1299.0), "smallest and largest")
    got = float(first.rank(500.0))
    assert abs(got - 300) <= 60, f"rank of 500: expected 300 within 60, got {got}"


def test_bad_arguments_are_refused(submission):
    """eps, NaN, q, merging another eps, quantiles of nothing."""
    for eps in (0.0, 1.0, -0.1, float("nan")):
        raises(ValueError, submission.Quantiles, eps, what=f"eps = {eps}")
    s = submission.Quantiles(0.1)
    raises(ValueError, s.quantile, 0.5, what="quantile of nothing")
    raises(ValueError, s.add, float("nan"), what="NaN")
    s.add(1.0)
    for q in (-0.01, 1.01, float("nan")):
        raises(ValueError, s.quantile, q, what=f"q = {q}")
    raises(ValueError, s.merge, submission.Quantiles(0.2), what="eps 0.2 into eps 0.1")
    equal((s.count, float(s.quantile(0.5))), (1, 1.0), "count and median after refused calls")
