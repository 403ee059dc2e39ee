"""Visible tests: the worked example, a gradient check, causality, an odd number of heads."""

import numpy as np

from handbook.practice.checks import close, gradients, raises

NAMES = ("dx", "dwq", "dwk", "dwv", "dwo")


def made(B, T, E, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(B, T, E)), *(rng.normal(size=(E, E)) / E**0.5 for _ in range(4))]


def test_worked_example(submission):
    """The statement's two positions of width 1."""
    one = np.ones((1, 1))
    y, cache = submission.forward(np.array([[[0.0], [np.log(2)]]]), one, one, one, one, 1)
    close(y, np.array([[[0.0], [0.4283]]]), "y", atol=1e-4)
    got = submission.backward(np.array([[[0.0], [1.0]]]), cache)
    for name, grad, expected in zip(NAMES[1:], got[1:], (0.0786, 0.0786, 0.4283, 0.4283), strict=True):
        close(grad, np.array([[expected]]), name, atol=1e-4)


def test_gradients_by_differences(submission):
    """The gradients of x and of the four weights equal central differences of a weighted sum of y."""
    arrays, weights = made(2, 3, 4, 0), np.random.default_rng(1).normal(size=(2, 3, 4))

    def loss(*arrays):
        return float((submission.forward(*arrays, 2)[0] * weights).sum())

    got = submission.backward(weights, submission.forward(*arrays, 2)[1])
    gradients(loss, arrays, list(got), "two heads of width 2")


def test_no_gradient_from_the_past_to_the_future(submission):
    """A loss on position 1 gives the later positions no gradient."""
    arrays = made(1, 4, 4, 2)
    dy = np.zeros((1, 4, 4))
    dy[:, 1] = 1
    dx = submission.backward(dy, submission.forward(*arrays, 2)[1])[0]
    close(dx[:, 2:], np.zeros((1, 2, 4)), "dx of positions 2 and 3")
    assert np.abs(dx[:, :2]).min() > 0, f"dx of positions 0 and 1: expected no zeros, got {dx[:, :2]}"


def test_width_that_heads_do_not_divide_is_refused(submission):
    """Three heads over a width of 4 raise ValueError; four do not."""
    arrays = made(1, 2, 4, 3)
    raises(ValueError, submission.forward, *arrays, 3, what="3 heads over a width of 4")
    close(submission.forward(*arrays, 4)[0].shape, (1, 2, 4), "shape of y with 4 heads of width 1")
