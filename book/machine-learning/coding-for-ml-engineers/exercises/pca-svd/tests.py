"""Visible tests: the worked example, orthonormal axes, reconstruction, whitening, bad calls."""

import numpy as np

from handbook.practice.checks import close, raises

X = np.array([[0.0, 0.0], [2.0, 1.0], [4.0, 2.0]])


def test_worked_example(submission):
    """The statement's example."""
    model = submission.PCA(1).fit(X)
    close(model.mean, np.array([2.0, 1.0]), "mean")
    close(model.axes, np.array([[2.0, 1.0]]) / np.sqrt(5), "axes")
    close(model.variance, np.array([5.0]), "variance")
    close(model.ratio, np.array([1.0]), "ratio")
    close(model.transform(X), np.array([[-1.0], [0.0], [1.0]]) * np.sqrt(5), "transform")


def test_axes_are_orthonormal(submission):
    """Axes of length 1, at right angles, by falling variance, which is that of the coordinates."""
    x = np.random.default_rng(1).normal(size=(40, 5)) @ np.diag([1.0, 5.0, 2.0, 0.5, 3.0])
    model = submission.PCA(4).fit(x)
    close(model.axes @ model.axes.T, np.eye(4), "products of the axes", atol=1e-10)
    spread = model.transform(x).var(axis=0, ddof=1)
    close(model.variance, spread, "variance and that of the coordinates")
    assert (np.diff(model.variance) <= 0).all(), f"expected falling variance, got {model.variance}"
    close(model.ratio, spread / x.var(axis=0, ddof=1).sum(), "ratio to the variance of all columns")


def test_all_axes_reconstruct(submission):
    """With k = D nothing is lost, also for rows that fit has not seen."""
    rng = np.random.default_rng(2)
    x, new = rng.normal(size=(20, 4)) + 3, rng.normal(size=(6, 4))
    for whiten in (False, True):
        model = submission.PCA(4, whiten).fit(x)
        back = model.inverse_transform(model.transform(new))
        close(back, new, f"back and forth, whiten {whiten}", atol=1e-10)


def test_whitened_coordinates(submission):
    """Variance 1 along every axis, no correlation."""
    x = np.random.default_rng(3).normal(size=(60, 4)) * [10.0, 0.1, 3.0, 1.0]
    z = submission.PCA(3, whiten=True).fit(x).transform(x)
    close(np.cov(z.T), np.eye(3), "covariance of whitened coordinates", atol=1e-9)


def test_bad_calls_are_refused(submission):
    """k out of range, one row, no matrix; asking before fit; another width."""
    for k, shape in ((0, (5, 3)), (4, (5, 3)), (3, (2, 5)), (1, (1, 3)), (1, (4,)), (1, (2, 3, 4))):
        raises(ValueError, submission.PCA(k).fit, np.zeros(shape), what=f"k = {k}, x of shape {shape}")
    model = submission.PCA(2)
    raises(RuntimeError, model.transform, np.zeros((2, 3)), what="transform before fit")
    raises(RuntimeError, model.inverse_transform, np.zeros((2, 2)), what="inverse_transform before fit")
    model.fit(np.random.default_rng(4).normal(size=(5, 3)))
    raises(ValueError, model.transform, np.zeros((2, 4)), what="transform of 4 columns for 3")
    raises(ValueError, model.inverse_transform, np.zeros((2, 3)), what="inverse_transform of 3 for k = 2")
