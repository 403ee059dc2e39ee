"""Hidden tests: torch's loss and gradient, tails, other ignored values, types, sums, size."""

import numpy as np
import torch

from handbook.practice.checks import close, equal, raises, unchanged


def test_torch_agrees(submission):
    """torch.nn.functional.cross_entropy and its backward pass, in float64."""
    rng = np.random.default_rng(2)
    for case in range(8):
        logits, targets = 5 * rng.normal(size=(9, 13)), rng.integers(0, 13, 9)
        targets[rng.integers(0, 9, 3)] = -100
        smoothing = (0.0, 0.1, 0.7)[case % 3]
        tensor = torch.from_numpy(logits).requires_grad_()
        expected = torch.nn.functional.cross_entropy(
            tensor, torch.from_numpy(targets), label_smoothing=smoothing
        )
        expected.backward()
        loss, gradient = submission.cross_entropy(logits, targets, smoothing)
        what = f"case {case}, smoothing {smoothing}"
        close(loss, expected.item(), f"{what}: loss", rtol=1e-10, peer="torch")
        close(gradient, tensor.grad.numpy(), f"{what}: gradient", rtol=1e-9, atol=1e-14, peer="torch")


def test_target_that_underflows(submission):
    """A target 2,000 below the best loses 2,000; the gradient is 1 and -1."""
    loss, gradient = submission.cross_entropy(np.array([[0.0, 2000.0]]), np.array([0]))
    close(loss, 2000.0, "loss at logits 0 and 2000")
    close(gradient, np.array([[-1.0, 1.0]]), "gradient at logits 0 and 2000")
    loss, gradient = submission.cross_entropy(np.array([[1e4, -1e4, 1e4]]), np.array([1]), smoothing=0.3)
    close(loss, 0.8 * 2e4 + np.log(2), "loss at logits of 10,000 with smoothing 0.3")
    close(gradient, np.array([[0.4, -0.8, 0.4]]), "gradient at logits of 10,000 with smoothing 0.3")


def test_ignored_rows_do_not_count(submission):
    """Rows that are ignored change neither the loss nor the others' gradient, whatever they hold."""
    rng = np.random.default_rng(3)
    logits, targets = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    loss, gradient = submission.cross_entropy(logits, targets)
    more = np.concatenate((np.full((3, 4), 777.0), logits))
    got, wider = submission.cross_entropy(more, np.concatenate(([-100] * 3, targets)))
    close(got, loss, "loss with three ignored rows")
    close(wider[3:], gradient, "gradient of the counted rows")
    equal(wider[:3], np.zeros((3, 4)), "gradient of the ignored rows")


def test_other_ignored_values(submission):
    """ignore may be a token, such as the padding token 0; then -100 is a bad target."""
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(3, 5))
    expected = submission.cross_entropy(logits, np.array([-100, 2, -100]))
    got = submission.cross_entropy(logits, np.array([0, 2, 0]), 0.0, 0)
    close(got[0], expected[0], "loss with ignore=0")
    close(got[1], expected[1], "gradient with ignore=0")
    call = submission.cross_entropy
    raises(ValueError, call, logits, np.array([-100, 2, 0]), 0.0, 0, what="target -100 with ignore=0")


def test_one_token(submission):
    """A vocabulary of one: nothing to lose, also beside an ignored row."""
    loss, gradient = submission.cross_entropy(np.array([[3.0], [4.0]]), np.array([0, -100]), 0.5)
    close(loss, 0.0, "loss of the only token")
    close(gradient, np.zeros((2, 1)), "gradient of the only token")


def test_gradient_rows_add_up_to_zero(submission):
    """Softmax and target both add up to 1, so every row of the gradient adds up to 0."""
    rng = np.random.default_rng(5)
    logits, targets = 30 * rng.normal(size=(50, 11)), rng.integers(0, 11, 50)
    for smoothing in (0.0, 0.25):
        gradient = submission.cross_entropy(logits, targets, smoothing)[1]
        close(gradient.sum(axis=1), np.zeros(50), f"sums of rows, smoothing {smoothing}", atol=1e-12)


def test_types(submission):
    """float32 and float16 logits, int32 targets: a plain float and a float64 gradient of full accuracy."""
    rng = np.random.default_rng(6)
    exact = rng.normal(size=(5, 7))
    for kind in (np.float16, np.float32):
        logits = exact.astype(kind)
        expected = submission.cross_entropy(logits.astype(np.float64), np.arange(5))
        loss, gradient = submission.cross_entropy(logits, np.arange(5, dtype=np.int32))
        assert isinstance(loss, float), f"loss: expected a float, got {type(loss).__name__}"
        close(loss, expected[0], f"loss of {np.dtype(kind)}", rtol=1e-12)
        close(gradient, expected[1], f"gradient of {np.dtype(kind)}", rtol=1e-12, dtype=np.float64)


def test_large_vocabulary_and_arguments_unchanged(submission):
    """64 positions of 20,000 tokens."""
    rng = np.random.default_rng(7)
    logits, targets = rng.normal(size=(64, 20_000)), rng.integers(0, 20_000, 64)
    kept = logits.copy(), targets.copy()
    loss, gradient = submission.cross_entropy(logits, targets, 0.1)
    top = logits.max(axis=1, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    expected = -(0.9 * logs[np.arange(64), targets] + 0.1 * logs.mean(axis=1)).mean()
    close(loss, float(expected), "loss")
    there = (np.exp(logs[np.arange(64), targets]) - 0.900005) / 64
    close(gradient[np.arange(64), targets], there, "gradient at the targets")
    unchanged(logits, kept[0], "logits")
    unchanged(targets, kept[1], "targets")
