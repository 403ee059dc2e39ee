"""Visible tests: the worked example, sums, large logits, a row without any, bad temperatures."""

import numpy as np

from handbook.practice.checks import close, equal, raises

LN3 = np.log(3.0)


def test_worked_example(submission):
    """The statement's example."""
    close(submission.softmax(np.array([0.0, LN3])), np.array([0.25, 0.75]), "plain", dtype=np.float64)
    close(submission.softmax(np.array([0.0, LN3]), temperature=0.5), np.array([0.1, 0.9]), "temperature 0.5")
    got = submission.softmax(np.array([0.0, LN3, 9.0]), mask=np.array([True, True, False]))
    close(got, np.array([0.25, 0.75, 0.0]), "the last forbidden")
    close(submission.log_softmax(np.array([0.0, -2000.0])), np.array([0.0, -2000.0]), "log of 0 and -2000")


def test_sums_along_the_axis(submission):
    """Probabilities add up to 1 along the axis asked for, and their logs fit them."""
    logits = np.random.default_rng(1).normal(size=(3, 4, 5))
    for axis in (0, 1, 2, -1, -2):
        got = submission.softmax(logits, axis)
        close(got.sum(axis=axis), np.ones(np.delete(logits.shape, axis)), f"sums along axis {axis}")
        close(submission.log_softmax(logits, axis), np.log(got), f"logs along axis {axis}")


def test_large_logits(submission):
    """10,000 and 9,999 differ by one, whatever exp says of them."""
    expected = np.exp([0.0, -1.0]) / np.exp([0.0, -1.0]).sum()
    for shift in (10_000.0, -10_000.0, 1e15):
        logits = np.array([shift, shift - 1.0])
        close(submission.softmax(logits), expected, f"softmax near {shift:g}")
        close(submission.log_softmax(logits), np.log(expected), f"log-softmax near {shift:g}")


def test_row_without_any_allowed(submission):
    """A padded row has no probabilities: zeros, not NaN; the row beside it is not touched."""
    logits, mask = np.zeros((2, 2)), np.array([[True, True], [False, False]])
    close(submission.softmax(logits, mask=mask), np.array([[0.5, 0.5], [0.0, 0.0]]), "softmax")
    got = submission.log_softmax(logits, mask=mask)
    close(got[0], np.log([0.5, 0.5]), "log-softmax of the allowed row")
    equal(got[1], np.full(2, -np.inf), "log-softmax of the forbidden row")


def test_bad_temperature_is_refused(submission):
    """0, below 0 and NaN."""
    for bad in (0.0, -1.0, float("nan")):
        for name in ("softmax", "log_softmax"):
            call = getattr(submission, name)
            raises(ValueError, call, np.zeros(3), -1, bad, what=f"{name} at temperature {bad}")
