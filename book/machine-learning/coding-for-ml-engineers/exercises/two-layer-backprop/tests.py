"""Visible tests: the worked example, a gradient check, unlabelled rows, large logits, bad labels."""

import math

import numpy as np

from handbook.practice.checks import close, gradients, raises

NAMES = ("w1", "b1", "w2", "b2")


def made(N, D, H, C, seed):
    rng = np.random.default_rng(seed)
    shapes = {"w1": (D, H), "b1": (H,), "w2": (H, C), "b2": (C,)}
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return rng.normal(size=(N, D)), rng.integers(C, size=N), weights


def test_worked_example(submission):
    """The statement's single row."""
    weights = {"w1": np.ones((1, 1)), "b1": np.zeros(1), "w2": np.array([[1.0, 0.0]]), "b2": np.zeros(2)}
    loss, got = submission.loss_and_gradients(np.array([[2.0]]), np.array([0]), weights)
    close(loss, 0.1269, "loss", atol=1e-4)
    expected = {"b2": [-0.1192, 0.1192], "w2": [[-0.2384, 0.2384]], "b1": [-0.1192], "w1": [[-0.2384]]}
    for name in NAMES:
        close(got[name], np.array(expected[name]), f"gradient of {name}", atol=1e-4)


def test_gradients_by_differences(submission):
    """All four gradients equal central differences of the loss, with decay."""
    x, labels, weights = made(5, 3, 4, 3, 0)

    def loss(*arrays):
        return submission.loss_and_gradients(x, labels, dict(zip(NAMES, arrays, strict=True)), 0.1)[0]

    got = submission.loss_and_gradients(x, labels, weights, 0.1)[1]
    gradients(loss, [weights[n] for n in NAMES], [got[n] for n in NAMES], "w1, b1, w2, b2")


def test_rows_without_label_do_not_count(submission):
    """Rows of label -1 change neither the loss nor a gradient."""
    x, labels, weights = made(6, 3, 4, 3, 1)
    labels[[1, 4]] = -1
    some = labels >= 0
    loss, got = submission.loss_and_gradients(x, labels, weights)
    expected_loss, expected = submission.loss_and_gradients(x[some], labels[some], weights)
    close(loss, expected_loss, "loss with two rows unlabelled")
    for name in NAMES:
        close(got[name], expected[name], f"gradient of {name} with two rows unlabelled")


def test_large_logits_stay_finite(submission):
    """A logit of 10,000 for the wrong class costs 10,000."""
    weights = {"w1": np.ones((1, 1)), "b1": np.zeros(1), "w2": np.array([[1.0, 0.0]]), "b2": np.zeros(2)}
    loss, got = submission.loss_and_gradients(np.array([[10_000.0]]), np.array([1]), weights)
    close(loss, 10_000.0, "loss")
    close(got["b2"], np.array([1.0, -1.0]), "gradient of b2")
    weights["w2"] = np.ones((1, 2))
    close(
        submission.loss_and_gradients(np.array([[10_000.0]]), np.array([1]), weights)[0], math.log(2), "a tie"
    )


def test_untrained_loss_is_log_of_classes(submission):
    """With all weights at 0 every class is equally likely; labels out of range raise ValueError."""
    x, labels, weights = made(4, 2, 3, 5, 2)
    zeros = {name: np.zeros_like(array) for name, array in weights.items()}
    close(submission.loss_and_gradients(x, labels, zeros)[0], math.log(5), "loss of 5 equal classes")
    call = submission.loss_and_gradients
    raises(ValueError, call, x, np.array([0, 1, 5, 2]), weights, what="label 5 of 5 classes")
    raises(ValueError, call, x, np.array([0, -2, 1, 2]), weights, what="label -2")
