"""Hidden tests: exact fractions, orders of merging, far clusters, types, copies, refused batches, memory."""

from fractions import Fraction

import numpy as np

from handbook.practice.checks import close, equal, inside, raises, unchanged


def test_exact_fractions(submission):
    """Small integers against rational numbers."""
    rng = np.random.default_rng(4)
    for case in range(8):
        x = rng.integers(-9, 10, (7, 2))
        m = submission.Moments(2)
        for batch in (x[:1], x[1:5], x[5:]):
            m.update(batch)
        a, b = ([Fraction(int(v)) for v in column] for column in x.T)
        means = sum(a) / 7, sum(b) / 7
        product = sum((u - means[0]) * (v - means[1]) for u, v in zip(a, b, strict=True))
        close(m.mean, np.array([float(v) for v in means]), f"case {case}: mean", rtol=1e-12, atol=1e-14)
        for ddof in (0, 1, 3):
            got = m.covariance(ddof)
            close(
                float(got[0, 1]),
                float(product / (7 - ddof)),
                f"case {case}: ddof {ddof}",
                rtol=1e-12,
                atol=1e-13,
            )
            close(got, got.T, f"case {case}: transposed covariance", rtol=1e-12, atol=1e-13)
            close(m.variance(ddof), np.diagonal(got).copy(), f"case {case}: variance", rtol=1e-12)


def test_any_order_of_merging(submission):
    """Eight workers merged in a line, in a tree and backwards."""
    x = np.random.default_rng(5).normal(size=(96, 3)) @ np.random.default_rng(6).normal(size=(3, 3))

    def workers():
        found = []
        for part in np.split(x, [3, 10, 11, 40, 41, 80, 90]):
            found.append(submission.Moments(3))
            found[-1].update(part)
        return found

    line = workers()
    for part in line[1:]:
        line[0].merge(part)
    tree = workers()
    for step in (1, 2, 4):
        for i in range(0, 8, 2 * step):
            tree[i].merge(tree[i + step])
    back = workers()[::-1]
    for part in back[1:]:
        back[0].merge(part)
    for m, what in ((line[0], "in a line"), (tree[0], "in a tree"), (back[0], "backwards")):
        equal(m.count, 96, f"count, {what}")
        close(m.mean, x.mean(axis=0), f"mean, {what}", rtol=1e-10, atol=1e-12)
        close(m.covariance(), np.cov(x.T, ddof=0), f"covariance, {what}", rtol=1e-10)


def test_clusters_far_apart(submission):
    """Two workers whose means lie 2 * 10^6 apart: the difference of the means is the variance."""
    x = np.random.default_rng(7).normal(size=(40, 2))
    x[:10] += 1e6
    x[10:] -= 1e6
    first, second = submission.Moments(2), submission.Moments(2)
    first.update(x[:10])
    second.update(x[10:])
    first.merge(second)
    close(first.covariance(), np.cov(x.T, ddof=0), "covariance", rtol=1e-9)


def test_large_mean_in_batches(submission):
    """A mean of 10^9 in batches, merged from two workers; variance never below 0."""
    x = 1e9 + np.random.default_rng(8).normal(size=(4000, 2))
    parts = [submission.Moments(2), submission.Moments(2)]
    for n, batch in enumerate(np.split(x, 40)):
        parts[n % 2].update(batch)
    parts[0].merge(parts[1])
    close(parts[0].variance(), x.var(axis=0), "variance at a mean of 10^9", rtol=1e-6)
    m = submission.Moments(1)
    for _ in range(100):
        m.update(np.full((3, 1), 1e8 + 0.1))
    close(m.variance(), np.zeros(1), "variance of equal rows", atol=1e-12)
    assert m.variance()[0] >= 0, f"variance: expected at least 0, got {m.variance()[0]}"


def test_types(submission):
    """float16 with squares beyond its range, uint8 that would wrap, plain lists."""
    for rows in (
        np.array([[300, -300], [500, 20], [400, 7]], np.float16),
        np.array([[250, 3], [1, 255]], np.uint8),
    ):
        m, kept = submission.Moments(2), rows.copy()
        m.update(rows)
        exact = rows.astype(np.float64)
        close(m.mean, exact.mean(axis=0), f"mean of {rows.dtype}", rtol=1e-12, dtype=np.float64)
        close(m.covariance(), np.cov(exact.T, ddof=0), f"covariance of {rows.dtype}", rtol=1e-12)
        unchanged(rows, kept, "batch")


def test_merging_into_itself(submission):
    """The same rows twice: same mean, same variance, twice the count."""
    x = np.random.default_rng(9).normal(size=(11, 2))
    m = submission.Moments(2)
    m.update(x)
    m.merge(m)
    equal(m.count, 22, "count")
    close(m.mean, x.mean(axis=0), "mean")
    close(m.covariance(1), np.cov(np.concatenate((x, x)).T), "covariance with ddof 1")


def test_merge_leaves_the_other(submission):
    """The other goes on by itself, and what it sees later is not seen here."""
    x = np.random.default_rng(10).normal(size=(20, 2))
    first, second = submission.Moments(2), submission.Moments(2)
    second.update(x[:5])
    first.merge(second)
    first.update(x[5:])
    equal(second.count, 5, "count of the other")
    close(second.mean, x[:5].mean(axis=0), "mean of the other")
    second.update(x[:5] + 100)
    close(first.mean, x.mean(axis=0), "mean after the other went on")
    close(first.covariance(), np.cov(x.T, ddof=0), "covariance after the other went on")


def aliases(submission):
    """What was returned earlier, after more was added; and the instance after its results were changed."""
    import numpy as np

    m = submission.Moments(2)
    m.update(np.array([[0.0, 1.0], [2.0, 5.0]]))
    early = m.mean, m.variance(), m.covariance()
    copies = [value.copy() for value in early]
    m.update(np.array([[100.0, -100.0]]))
    same = [bool(np.array_equal(a, b)) for a, b in zip(early, copies, strict=True)]
    before = m.mean.copy(), m.variance().copy(), m.covariance().copy()
    for value in (m.mean, m.variance(), m.covariance()):
        value.flags.writeable = True
        value += 1000
    after = m.mean, m.variance(), m.covariance()
    return same, [bool(np.array_equal(a, b)) for a, b in zip(before, after, strict=True)]


def test_results_are_copies(submission):
    """Results do not change later, and changing them changes nothing."""
    same, kept = inside(submission, aliases)
    equal(same, [True] * 3, "mean, variance, covariance as they were before more was added")
    equal(kept, [True] * 3, "the instance after its results were changed")


def test_refused_batch_changes_nothing(submission):
    """A NaN in the last row must not have let the rows before it in."""
    m = submission.Moments(1)
    m.update(np.array([[1.0], [3.0]]))
    raises(ValueError, m.update, np.array([[5.0], [np.nan]]), what="a batch with a NaN")
    equal((m.count, float(m.mean[0]), float(m.variance()[0])), (2, 2.0, 1.0), "count, mean, variance")
    fresh = submission.Moments(3)
    equal((fresh.count, fresh.mean.tolist()), (0, [0.0] * 3), "count and mean of nothing")
    fresh.update(np.zeros((0, 3)))
    fresh.merge(submission.Moments(3))
    raises(ValueError, fresh.covariance, what="covariance after an empty batch")
    equal(fresh.mean.tolist(), [0.0] * 3, "mean after an empty batch")


def stream(submission, batches, rows, width):
    """Peak memory in MiB beyond one batch."""
    import tracemalloc

    import numpy as np

    rng, m = np.random.default_rng(11), submission.Moments(width)
    tracemalloc.start()
    for _ in range(batches):
        m.update(rng.normal(size=(rows, width)))
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return peak, m.count, float(np.abs(m.mean).max()), float(m.variance().mean())


def test_memory_of_a_stream(submission):
    """400 batches of 1,000 rows: 122 MiB in all, of which a few may be held."""
    peak, count, mean, variance = inside(submission, stream, 400, 1000, 40)
    equal(count, 400_000, "count")
    assert peak < 10, f"peak memory: expected below 10 MiB, got {peak:.1f} MiB"
    assert mean < 0.01, f"largest mean: expected below 0.01, got {mean}"
    close(variance, 1.0, "mean variance", rtol=0.01)
