"""Hidden tests: the library, the slope at zero, nothing labelled, decay, training, arguments."""

import numpy as np
import torch

from handbook.practice.checks import close, unchanged

NAMES = ("w1", "b1", "w2", "b2")


def made(N, D, H, C, seed):
    rng = np.random.default_rng(seed)
    shapes = {"w1": (D, H), "b1": (H,), "w2": (H, C), "b2": (C,)}
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return rng.normal(size=(N, D)), rng.integers(C, size=N), weights


def test_parity_with_torch(submission):
    """Loss and gradients equal torch's, with unlabelled rows as ignore_index, over ten random networks."""
    for seed in range(10):
        x, labels, weights = made(7, 4, 5, 3, seed)
        labels[seed % 7] = -1
        tensors = {name: torch.from_numpy(a.copy()).requires_grad_() for name, a in weights.items()}
        hidden = torch.relu(torch.from_numpy(x) @ tensors["w1"] + tensors["b1"])
        logits = hidden @ tensors["w2"] + tensors["b2"]
        expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels), ignore_index=-1)
        expected.backward()
        loss, got = submission.loss_and_gradients(x, labels, weights)
        close(loss, expected.item(), f"loss, seed {seed}", peer="torch")
        for name in NAMES:
            close(got[name], tensors[name].grad.numpy(), f"{name}, seed {seed}", peer="torch", rtol=1e-7)


def test_no_slope_at_zero(submission):
    """A hidden unit whose input is exactly 0 passes nothing back."""
    weights = {"w1": np.zeros((1, 2)), "b1": np.array([0.0, 1.0]), "w2": np.eye(2), "b2": np.zeros(2)}
    got = submission.loss_and_gradients(np.array([[3.0]]), np.array([0]), weights)[1]
    share = 1 / (1 + np.exp(-1.0))
    close(got["b1"], np.array([0.0, share]), "gradient of b1")
    close(got["w1"], np.array([[0.0, 3 * share]]), "gradient of w1")


def test_nothing_labelled(submission):
    """Without a labelled row only the penalty is left; without decay nothing."""
    x, _, weights = made(3, 2, 2, 2, 3)
    for rows in (x, x[:0]):
        nothing = np.full(len(rows), -1)
        loss, got = submission.loss_and_gradients(rows, nothing, weights, 0.5)
        penalty = 0.25 * sum((weights[name] ** 2).sum() for name in ("w1", "w2"))
        close(loss, float(penalty), f"loss of {len(rows)} unlabelled rows with decay 0.5")
        close(got["w1"], 0.5 * weights["w1"], "gradient of w1")
        close(got["b2"], np.zeros(2), "gradient of b2")
    close(submission.loss_and_gradients(x, np.full(3, -1), weights)[0], 0.0, "loss without decay")


def test_decay_leaves_biases_alone(submission):
    """Decay adds decay * w to the gradients of w1 and w2, half its square to the loss, nothing to biases."""
    x, labels, weights = made(4, 3, 3, 2, 4)
    plain_loss, plain = submission.loss_and_gradients(x, labels, weights)
    loss, got = submission.loss_and_gradients(x, labels, weights, 2.0)
    squares = (weights["w1"] ** 2).sum() + (weights["w2"] ** 2).sum()
    close(loss, plain_loss + squares, "loss with decay 2")
    for name in NAMES:
        expected = plain[name] + (2.0 * weights[name] if name.startswith("w") else 0)
        close(got[name], expected, f"gradient of {name} with decay 2")


def test_training_learns_xor(submission):
    """Plain gradient descent on the gradients brings the loss of XOR from 0.7 to below 0.05."""
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    labels = np.array([0, 1, 1, 0])
    _, _, weights = made(1, 2, 8, 2, 5)
    for _ in range(500):
        loss, got = submission.loss_and_gradients(x, labels, weights)
        weights = {name: weights[name] - 0.5 * got[name] for name in NAMES}
    assert loss < 0.05, f"loss of XOR after 500 steps: expected below 0.05, got {loss}"


def test_arguments_unchanged(submission):
    """x, labels and the weights are as they were."""
    x, labels, weights = made(4, 3, 2, 3, 6)
    labels[0] = -1
    before = x.copy(), labels.copy(), {name: a.copy() for name, a in weights.items()}
    submission.loss_and_gradients(x, labels, weights, 0.1)
    for name, now, kept in zip(("x", "labels", "weights"), (x, labels, weights), before, strict=True):
        unchanged(now, kept, name)
