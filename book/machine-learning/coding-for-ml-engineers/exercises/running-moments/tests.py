"""Visible tests: the worked example, batches, merging, a large mean, bad arguments."""

import numpy as np

from handbook.practice.checks import close, equal, raises


def test_worked_example(submission):
    """The statement's example."""
    m = submission.Moments(2)
    equal(m.update(np.array([[0.0, 1.0], [2.0, 1.0]])), None, "what update returns")
    m.update(np.array([[4.0, 7.0]]))
    equal(m.count, 3, "count")
    close(m.mean, np.array([2.0, 3.0]), "mean", dtype=np.float64)
    close(m.variance(), np.array([8 / 3, 8.0]), "variance", dtype=np.float64)
    close(m.variance(1), np.array([4.0, 12.0]), "variance with ddof 1")
    close(m.covariance(1), np.array([[4.0, 6.0], [6.0, 12.0]]), "covariance with ddof 1", dtype=np.float64)


def test_batches_of_any_length(submission):
    """However the rows are cut, empty batches included, the moments are those of all rows."""
    x = np.random.default_rng(1).normal(size=(60, 3)) * [1, 10, 0.1] + [5, 0, -3]
    for cuts in ([60], [1] * 60, [0, 7, 0, 33, 20], [59, 1]):
        m = submission.Moments(3)
        for batch in np.split(x, np.cumsum(cuts)[:-1]):
            m.update(batch)
        what = f"batches of {cuts[:5]}"
        close(m.mean, x.mean(axis=0), f"mean, {what}")
        close(m.covariance(), np.cov(x.T, ddof=0), f"covariance, {what}")


def test_merging(submission):
    """Two workers with different numbers of rows, one without any."""
    x = np.random.default_rng(2).normal(size=(50, 2))
    parts = [submission.Moments(2) for _ in range(3)]
    parts[0].update(x[:13])
    parts[2].update(x[13:])
    for part in parts[1:]:
        equal(parts[0].merge(part), None, "what merge returns")
    equal(parts[0].count, 50, "count of all parts")
    close(parts[0].mean, x.mean(axis=0), "mean of all parts")
    close(parts[0].covariance(), np.cov(x.T, ddof=0), "covariance of all parts")
    parts[1].merge(parts[0])
    close(parts[1].variance(1), x.var(axis=0, ddof=1), "variance merged into an empty part")


def test_large_mean(submission):
    """A mean of 10^9 and a deviation of 1, row by row."""
    x = 1e9 + np.random.default_rng(3).normal(size=(200, 1))
    m = submission.Moments(1)
    for row in x:
        m.update(row[None])
    close(m.variance(), x.var(axis=0), "variance at a mean of 10^9", rtol=1e-6)


def test_bad_arguments_are_refused(submission):
    """Widths, shapes, values that are not finite, too few rows."""
    raises(ValueError, submission.Moments, 0, what="width 0")
    m = submission.Moments(2)
    for bad in (
        np.zeros((3, 3)),
        np.zeros((3, 1)),
        np.zeros(2),
        np.zeros((1, 2, 2)),
        np.array([[1.0, np.nan]]),
        np.array([[np.inf, 1.0]]),
    ):
        raises(ValueError, m.update, bad, what=f"batch {bad.tolist()}")
    raises(ValueError, m.merge, submission.Moments(3), what="width 3 into width 2")
    raises(ValueError, m.variance, what="variance of nothing")
    m.update(np.ones((1, 2)))
    raises(ValueError, m.variance, 1, what="variance of one row with ddof 1")
    raises(ValueError, m.covariance, 1, what="covariance of one row with ddof 1")
    equal(m.count, 1, "count after refused batches")
