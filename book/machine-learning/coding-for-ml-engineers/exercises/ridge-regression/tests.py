"""Visible tests: the worked example, a plane, the intercept, several targets, bad arguments."""

import numpy as np

from handbook.practice.checks import close, equal, raises

X, Y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0])


def test_worked_example(submission):
    """The statement's example."""
    w, b = submission.ridge(X, Y, 0.0)
    close((w, float(b)), (np.array([2.0]), 1.0), "alpha = 0")
    w, b = submission.ridge(X, Y, 2.0)
    close((w, float(b)), (np.array([1.0]), 2.0), "alpha = 2")


def test_plane_is_found(submission):
    """Without noise and penalty the coefficients come back."""
    rng = np.random.default_rng(1)
    x, true = rng.normal(size=(20, 4)), np.array([1.0, -2.0, 0.5, 0.0])
    w, b = submission.ridge(x, x @ true + 7, 0.0)
    close((w, float(b)), (true, 7.0), "a plane with intercept 7")


def test_intercept_is_not_penalised(submission):
    """A huge penalty leaves the mean; shifting the targets shifts only the intercept."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(30, 3)) + 5, rng.normal(size=30)
    w, b = submission.ridge(x, y, 1e12)
    close((w, float(b)), (np.zeros(3), float(y.mean())), "alpha = 1e12", rtol=1e-6, atol=1e-8)
    w, b = submission.ridge(x, y, 3.0)
    shifted, moved = submission.ridge(x, y + 100, 3.0)
    close((shifted, float(moved)), (w, float(b) + 100), "targets moved by 100")


def test_several_targets(submission):
    """Each column of y is a regression of its own; one column keeps its axis."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    w, b = submission.ridge(x, y, 0.7)
    equal((w.shape, b.shape), ((3, 2), (2,)), "shapes for two targets")
    for column in range(2):
        one, offset = submission.ridge(x, y[:, column], 0.7)
        equal((one.shape, offset.shape), ((3,), ()), "shapes for one target")
        close((w[:, column], float(b[column])), (one, float(offset)), f"target {column}")
    w, b = submission.ridge(x, y[:, :1], 0.7)
    equal((w.shape, b.shape), ((3, 1), (1,)), "shapes for y of [N, 1]")


def test_bad_arguments_are_refused(submission):
    """alpha below 0, bad weights, lengths that differ."""
    for bad in (-1e-9, float("nan")):
        said = str(raises(ValueError, submission.ridge, X, Y, bad, what=f"alpha = {bad}"))
        assert "alpha" in said, f"alpha = {bad}: expected a message that names alpha, got {said!r}"
    for bad in (np.array([1.0, -1.0, 1.0]), np.zeros(3), np.ones(2), np.ones(1)):
        said = str(raises(ValueError, submission.ridge, X, Y, 1.0, bad, what=f"weights {bad.tolist()}"))
        assert "weights" in said, f"{bad.tolist()}: expected a message that names weights, got {said!r}"
    raises(ValueError, submission.ridge, X, Y[:2], 1.0, what="3 rows, 2 targets")
    raises(ValueError, submission.ridge, X[:1], Y, 1.0, what="1 row, 3 targets")
