"""Visible tests: the worked example, evaluation, a gradient check, images, a single value."""

import numpy as np

from handbook.practice.checks import close, gradients, raises

ONE, ZERO = np.ones(1), np.zeros(1)


def test_worked_example(submission):
    """The statement's two batches, in training and in evaluation."""
    x, dy = np.array([[1.0], [3.0]]), np.array([[1.0], [0.0]])
    y, cache, mean, variance = submission.forward(x, ONE, ZERO, ZERO, ONE, True, 0.1, 0.0)
    close(y, np.array([[-1.0], [1.0]]), "y in training")
    close(mean, np.array([0.2]), "running mean")
    close(variance, np.array([1.1]), "running variance")
    close(submission.backward(dy, cache)[0], np.zeros((2, 1)), "dx in training")
    y, cache, mean, variance = submission.forward(x, ONE, ZERO, ZERO, ONE, False, 0.1, 0.0)
    close(y, x, "y in evaluation")
    close(mean, ZERO, "running mean after evaluation")
    close(variance, ONE, "running variance after evaluation")
    close(submission.backward(dy, cache)[0], dy, "dx in evaluation")


def test_gradients_by_differences_in_training(submission):
    """Analytic gradients of x, gamma and beta equal central differences in training mode."""
    rng = np.random.default_rng(0)
    x, gamma, beta, weights = (rng.normal(size=shape) for shape in ((5, 3), 3, 3, (5, 3)))

    def loss(x, gamma, beta):
        y = submission.forward(x, gamma, beta, np.zeros(3), np.ones(3), True)[0]
        return float((y * weights).sum())

    cache = submission.forward(x, gamma, beta, np.zeros(3), np.ones(3), True)[1]
    gradients(loss, [x, gamma, beta], list(submission.backward(weights, cache)), "training [5, 3]")


def test_images_are_normalised_a_channel(submission):
    """[N, C, H, W]: each channel has mean 0 and variance 1 over batch and pixels."""
    x = np.random.default_rng(1).normal(4, 3, size=(3, 2, 4, 5))
    y = submission.forward(x, np.ones(2), np.zeros(2), np.zeros(2), np.ones(2), True, 0.1, 0.0)[0]
    close(y.mean(axis=(0, 2, 3)), np.zeros(2), "means of the channels", atol=1e-9)
    close(y.var(axis=(0, 2, 3)), np.ones(2), "variances of the channels")


def test_single_value_in_training_is_refused(submission):
    """One value a channel raises ValueError in training, and is fine in evaluation."""
    x, two = np.array([[1.0, 2.0]]), np.ones(2)
    call = submission.forward
    raises(ValueError, call, x, two, two, two, two, True, what="x of [1, 2] in training")
    close(
        call(x, two, two, two, two, False, 0.1, 0.0)[0], np.array([[1.0, 2.0]]), "x of [1, 2] in evaluation"
    )
    y = call(x.reshape(1, 1, 2), ONE, ZERO, ZERO, ONE, True, 0.1, 0.0)[0]
    close(y, np.array([[[-1.0, 1.0]]]), "one sequence of two steps in training")
