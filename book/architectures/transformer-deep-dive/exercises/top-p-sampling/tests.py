"""Visible tests: the worked example, sums, the smallest p, the largest p, bad p."""

import numpy as np

LOGITS = np.array([1.0, 2.0, -1.0, 0.0])


def check(got, expected, what):
    expected = np.asarray(expected)
    assert isinstance(got, np.ndarray), f"{what}: expected a NumPy array, got {type(got).__name__}"
    assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
    assert np.allclose(got, expected, atol=1e-4), (
        f"{what}: expected {np.round(expected, 4).tolist()}, got {np.round(got, 4).tolist()}"
    )


def test_worked_example(submission):
    check(submission.top_p(LOGITS, 0.6), [0.0, 1.0, 0.0, 0.0], "p = 0.6")
    check(submission.top_p(LOGITS, 0.8), [0.2689, 0.7311, 0.0, 0.0], "p = 0.8")
    check(submission.top_p(LOGITS, 0.9), [0.2447, 0.6652, 0.0, 0.0900], "p = 0.9")


def test_sums_to_one(submission):
    logits = np.random.default_rng(0).normal(size=50)
    for p in (0.1, 0.5, 0.95, 1.0):
        total = float(submission.top_p(logits, p).sum())
        assert abs(total - 1.0) < 1e-9, f"p = {p}: expected probabilities that add up to 1, got {total}"


def test_tiny_p_keeps_the_best_token(submission):
    check(submission.top_p(LOGITS, 1e-6), [0.0, 1.0, 0.0, 0.0], "p = 0.000001")


def test_p_one_is_the_softmax(submission):
    check(submission.top_p(LOGITS, 1.0), np.exp(LOGITS) / np.exp(LOGITS).sum(), "p = 1")


def test_bad_p_is_refused(submission):
    for p in (0.0, -0.1, 1.5, float("nan")):
        try:
            got = submission.top_p(LOGITS, p)
        except ValueError:
            continue
        raise AssertionError(f"p = {p}: expected ValueError, got {got}")
