"""Visible tests: the worked example, a gradient check, ties, whole windows, windows that cannot be."""

import numpy as np

from handbook.practice.checks import close, gradients, raises


def test_worked_example(submission):
    """Two overlapping windows whose maximum is the same entry."""
    y, cache = submission.forward(np.array([[[[1.0, 5.0, 2.0], [4.0, 3.0, 0.0]]]]), 2, 1)
    close(y, np.array([[[[5.0, 5.0]]]]), "y")
    dx = submission.backward(np.array([[[[1.0, 10.0]]]]), cache)
    close(dx, np.array([[[[0.0, 11.0, 0.0], [0.0, 0.0, 0.0]]]]), "dx")


def test_gradient_by_differences(submission):
    """dx equals central differences for overlapping windows over two images of two channels."""
    rng = np.random.default_rng(0)
    x = rng.permutation(80).reshape(2, 2, 4, 5) / 10  # no ties
    y, cache = submission.forward(x, 3, 1)
    weights = rng.normal(size=y.shape)

    def loss(x):
        return float((submission.forward(x, 3, 1)[0] * weights).sum())

    gradients(loss, [x], [submission.backward(weights, cache)], "size 3, stride 1")


def test_first_of_equal_maxima_gets_all(submission):
    """A window of equal values pays its first entry, and nothing to the others."""
    _, cache = submission.forward(np.zeros((1, 1, 4, 4)), 2, 2)
    expected = np.zeros((1, 1, 4, 4))
    expected[0, 0, ::2, ::2] = [[1, 2], [3, 4]]
    got = submission.backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), cache)
    close(got, expected, "dx of an image of zeros")


def test_only_whole_windows_count(submission):
    """A last row and column that no window reaches get no gradient."""
    x = np.arange(25.0).reshape(1, 1, 5, 5)
    y, cache = submission.forward(x, 2, 2)
    close(y, np.array([[[[6.0, 8.0], [16.0, 18.0]]]]), "y of 5 by 5 in windows of 2")
    dx = submission.backward(np.ones((1, 1, 2, 2)), cache)
    expected = np.isin(x, [6, 8, 16, 18]).astype(float)
    close(dx, expected, "dx of 5 by 5 in windows of 2")


def test_windows_that_cannot_be_are_refused(submission):
    """A size or a stride of 0 and a window larger than the image raise ValueError."""
    x, call = np.ones((1, 1, 3, 4)), submission.forward
    raises(ValueError, call, x, 0, 1, what="size 0")
    raises(ValueError, call, x, 2, 0, what="stride 0")
    raises(ValueError, call, x, 2, -1, what="stride -1")
    raises(ValueError, call, x, 4, 1, what="size 4 over 3 rows")
    raises(ValueError, call, x.swapaxes(2, 3), 4, 1, what="size 4 over 3 columns")
