"""Visible tests: the worked example, the gradient check, nothing counted, smoothing, bad arguments."""

import numpy as np

from handbook.practice.checks import close, equal, gradients, raises


def test_worked_example(submission):
    """The statement's example."""
    logits = np.array([[0.0, np.log(3.0)], [5.0, 5.0], [1.0, 2.0]])
    loss, gradient = submission.cross_entropy(logits, np.array([1, 0, -100]))
    close(loss, (np.log(4 / 3) + np.log(2)) / 2, "loss")
    expected = np.array([[0.125, -0.125], [-0.25, 0.25], [0.0, 0.0]])
    close(gradient, expected, "gradient", dtype=np.float64)


def test_gradient_check(submission):
    """The gradient against central differences, with and without smoothing."""
    rng = np.random.default_rng(1)
    logits, targets = rng.normal(size=(4, 5)), np.array([3, -100, 0, 4])
    for smoothing in (0.0, 0.2):
        gradient = submission.cross_entropy(logits, targets, smoothing)[1]
        gradients(
            lambda x, s=smoothing: submission.cross_entropy(x, targets, s)[0],
            [logits],
            [gradient],
            f"smoothing {smoothing}",
        )


def test_nothing_counted(submission):
    """A batch of padding: loss 0, no gradient, no NaN."""
    loss, gradient = submission.cross_entropy(np.ones((2, 3)), np.array([-100, -100]))
    close(loss, 0.0, "loss when every target is ignored")
    equal(gradient, np.zeros((2, 3)), "gradient when every target is ignored")


def test_smoothed_target(submission):
    """Equal logits lose ln V whatever the smoothing; the gradient is p - q."""
    loss, gradient = submission.cross_entropy(np.zeros((1, 4)), np.array([2]), smoothing=0.4)
    close(loss, np.log(4.0), "loss of equal logits")
    close(gradient, np.array([[0.15, 0.15, -0.45, 0.15]]), "gradient with smoothing 0.4")


def test_bad_arguments_are_refused(submission):
    """Targets out of range, a smoothing of 1, lengths that differ."""
    logits = np.zeros((2, 3))
    for bad in (3, -1, -99):
        raises(ValueError, submission.cross_entropy, logits, np.array([0, bad]), what=f"target {bad} of 3")
    for bad in (-0.1, 1.0, float("nan")):
        raises(ValueError, submission.cross_entropy, logits, np.array([0, 1]), bad, what=f"smoothing {bad}")
    raises(ValueError, submission.cross_entropy, logits, np.array([0]), what="2 rows, 1 target")
    raises(ValueError, submission.cross_entropy, logits[:1], np.array([0, 1]), what="1 row, 2 targets")
