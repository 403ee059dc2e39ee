"""Visible tests: the worked example, a gradient check, leading axes, constant rows, bad shapes."""

import numpy as np

from handbook.practice.checks import close, gradients, raises


def test_worked_example(submission):
    """The statement's example, forward and backward."""
    x, gamma, beta = np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0])
    y, cache = submission.forward(x, gamma, beta, 0.0)
    close(y, np.array([-1.2247, 0.0, 3.4495]), "y", atol=1e-4)
    dx, dgamma, dbeta = submission.backward(np.array([1.0, 0.0, 0.0]), cache)
    close(dx, np.array([0.2041, -0.4082, 0.2041]), "dx", atol=1e-4)
    close(dgamma, np.array([-1.2247, 0.0, 0.0]), "dgamma", atol=1e-4)
    close(dbeta, np.array([1.0, 0.0, 0.0]), "dbeta")


def test_gradients_by_differences(submission):
    """Analytic gradients of x, gamma and beta equal central differences of a weighted sum of y."""
    rng = np.random.default_rng(0)
    x, gamma, beta, weights = (rng.normal(size=shape) for shape in ((3, 4), 4, 4, (3, 4)))

    def loss(x, gamma, beta):
        return float((submission.forward(x, gamma, beta)[0] * weights).sum())

    _, cache = submission.forward(x, gamma, beta)
    gradients(loss, [x, gamma, beta], list(submission.backward(weights, cache)), "layer norm [3, 4]")


def test_rows_have_mean_zero_and_variance_one(submission):
    """Over the last axis, for one, two and three leading axes."""
    rng = np.random.default_rng(1)
    for shape in ((8,), (5, 8), (2, 3, 8), (2, 1, 3, 8)):
        x = rng.normal(loc=3, scale=2, size=shape)
        y, _ = submission.forward(x, np.ones(8), np.zeros(8), 0.0)
        close(np.atleast_1d(y.mean(-1)), np.zeros(shape[:-1] or 1), f"means of rows of {shape}", atol=1e-9)
        close(np.atleast_1d((y * y).mean(-1)), np.ones(shape[:-1] or 1), f"variances of rows of {shape}")


def test_constant_row_is_zero(submission):
    """A row without spread gives beta, and no NaN."""
    y, _ = submission.forward(np.full((2, 3), 5.0), np.ones(3), np.array([1.0, 2.0, 3.0]))
    close(y, np.array([[1.0, 2.0, 3.0]] * 2), "y of constant rows")


def test_shapes_that_do_not_fit_are_refused(submission):
    """gamma or beta of another length, or of one entry, raises ValueError."""
    x = np.ones((2, 3))
    raises(ValueError, submission.forward, x, np.ones(2), np.zeros(3), what="gamma of 2 for D = 3")
    raises(ValueError, submission.forward, x, np.ones(3), np.zeros(1), what="beta of 1 for D = 3")
