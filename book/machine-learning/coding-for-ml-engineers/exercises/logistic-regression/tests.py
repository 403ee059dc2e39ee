"""Visible tests: the worked example, the gradient check, large scores, the minimum, bad arguments."""

import numpy as np

from handbook.practice.checks import close, gradients, raises

X, Y = np.array([[0.0], [1.0]]), np.array([0, 1])


def test_worked_example(submission):
    """The statement's example."""
    loss, dw, db = submission.loss_and_gradients(np.array([0.0]), 0.0, X, Y, 1.0)
    close((loss, dw, db), (np.log(2.0), np.array([-0.25]), 0.0), "w = 0, b = 0")
    loss, dw, db = submission.loss_and_gradients(np.array([2.0]), -1.0, X, Y, 1.0)
    one = 1 / (1 + np.e)
    close((loss, dw, db), (np.log1p(1 / np.e) + 2, np.array([2 - one / 2]), 0.0), "w = 2, b = -1")
    w, b = submission.fit(X, Y, 1.0)
    close((w, b), (np.array([0.2353]), -0.11766), "fit", rtol=1e-4)


def test_gradient_check(submission):
    """Both gradients against central differences, with weights and without."""
    rng = np.random.default_rng(1)
    x, y, w, b = rng.normal(size=(7, 3)), rng.integers(0, 2, 7), rng.normal(size=3), np.array([0.4])
    for weights in (None, rng.uniform(0, 2, 7)):
        _, dw, db = submission.loss_and_gradients(w, float(b[0]), x, y, 0.3, weights)

        def loss(w, b, weights=weights):
            return submission.loss_and_gradients(w, float(b[0]), x, y, 0.3, weights)[0]

        gradients(loss, [w, b], [dw, np.array([db])], f"weights {'given' if weights is not None else 'None'}")


def test_large_scores(submission):
    """Scores of 10,000 on the wrong and on the right side."""
    x, w = np.array([[1e4], [-1e4]]), np.array([1.0])
    for y, expected in (([0, 1], 1e4), ([1, 0], 0.0)):
        loss, dw, db = submission.loss_and_gradients(w, 0.0, x, np.array(y), 1e-6)
        close(loss, expected + 0.5e-6, f"loss for labels {y}")
        close((dw, db), (np.array([1e-6 + expected]), 0.0), f"gradients for labels {y}")


def test_fit_reaches_the_minimum(submission):
    """The gradients at what fit returns are within its tolerance."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(200, 5))
    y = (x @ rng.normal(size=5) + rng.normal(size=200) > 0.5).astype(int)
    w, b = submission.fit(x, y, 0.01)
    got = max(np.abs(np.append(dw, db)).max() for _, dw, db in [expected_gradients(w, b, x, y, 0.01)])
    assert got <= 1.1e-8, f"largest gradient at the end: expected at most 1e-8, got {got:.3g}"


def expected_gradients(w, b, x, y, l2):
    p = 1 / (1 + np.exp(-(x @ w + b)))
    return None, x.T @ (p - y) / len(y) + l2 * w, (p - y).mean()


def test_bad_arguments_are_refused(submission):
    """Labels -1 and 1, no penalty, bad weights, lengths that differ; in both functions."""
    w = np.zeros(1)
    cases = {
        "labels -1 and 1": (X, np.array([-1, 1]), 1.0),
        "label 0.5": (X, np.array([0.5, 1.0]), 1.0),
        "l2 = 0": (X, Y, 0.0),
        "l2 = -1": (X, Y, -1.0),
        "l2 = NaN": (X, Y, float("nan")),
        "2 rows, 1 label": (X, Y[:1], 1.0),
        "1 row, 2 labels": (X[:1], Y, 1.0),
        "a negative weight": (X, Y, 1.0, np.array([2.0, -1.0])),
        "weights of 0": (X, Y, 1.0, np.zeros(2)),
        "2 rows, 1 weight": (X, Y, 1.0, np.ones(1)),
    }
    for what, arguments in cases.items():
        raises(ValueError, submission.loss_and_gradients, w, 0.0, *arguments, what=f"loss: {what}")
        raises(ValueError, submission.fit, *arguments, what=f"fit: {what}")
