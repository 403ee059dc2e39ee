"""Hidden tests: the library in both modes and three shapes, running statistics, arguments, dtype."""

import numpy as np
import torch

from handbook.practice.checks import close, gradients, unchanged

NAMES = ("dx", "dgamma", "dbeta")


def setting(shape, seed):
    rng = np.random.default_rng(seed)
    C = shape[1]
    x, dy = rng.normal(1, 2, size=shape), rng.normal(size=shape)
    return x, dy, rng.normal(size=C), rng.normal(size=C), rng.normal(size=C), rng.random(C) + 0.5


def beside(x, dy, gamma, beta, mean, variance, training, momentum, eps):
    tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in (x, gamma, beta)]
    running = [torch.from_numpy(a.copy()) for a in (mean, variance)]
    y = torch.nn.functional.batch_norm(
        tensors[0], *running, tensors[1], tensors[2], training=training, momentum=momentum, eps=eps
    )
    y.backward(torch.from_numpy(dy))
    return y.detach().numpy(), [t.grad.numpy() for t in tensors], [t.numpy() for t in running]


def parity(submission, training):
    for seed, shape in enumerate(((6, 3), (2, 4), (4, 2, 5), (2, 3, 4, 2))):
        x, dy, gamma, beta, mean, variance = setting(shape, seed)
        args = (gamma, beta, mean, variance, training, 0.3, 1e-2)
        y, cache, *running = submission.forward(x, *args)
        grads = submission.backward(dy, cache)
        expected, slopes, moved = beside(x, dy, *args)
        what = f"{shape}, {'training' if training else 'evaluation'}"
        close(y, expected, f"y, {what}", rtol=1e-8, peer="torch")
        for name, got, want in zip(NAMES, grads, slopes, strict=True):
            close(got, want, f"{name}, {what}", rtol=1e-7, atol=1e-9, peer="torch")
        for name, got, want in zip(("running mean", "running variance"), running, moved, strict=True):
            close(got, want, f"{name}, {what}", rtol=1e-8, peer="torch")


def test_parity_with_torch_in_training(submission):
    """Values, gradients and running statistics equal torch's for [N, C], [N, C, L] and [N, C, H, W]."""
    parity(submission, True)


def test_parity_with_torch_in_evaluation(submission):
    """The same with running statistics that normalise and stay."""
    parity(submission, False)


def test_gradients_by_differences_in_evaluation(submission):
    """In evaluation the statistics are constants of the gradient."""
    x, dy, gamma, beta, mean, variance = setting((4, 2, 3), 9)

    def loss(x, gamma, beta):
        return float((submission.forward(x, gamma, beta, mean, variance, False)[0] * dy).sum())

    cache = submission.forward(x, gamma, beta, mean, variance, False)[1]
    gradients(loss, [x, gamma, beta], list(submission.backward(dy, cache)), "evaluation [4, 2, 3]")


def test_running_statistics_converge(submission):
    """After 200 batches of the same distribution they are near its mean 3 and variance 4."""
    rng, mean, variance = np.random.default_rng(3), np.zeros(2), np.ones(2)
    for _ in range(200):
        x = rng.normal(3, 2, size=(64, 2))
        _, _, mean, variance = submission.forward(x, np.ones(2), np.zeros(2), mean, variance, True)
    close(mean, np.full(2, 3.0), "running mean", rtol=0.1)
    close(variance, np.full(2, 4.0), "running variance", rtol=0.15)


def test_default_momentum_and_eps(submission):
    """momentum is 0.1 and eps is 1e-5, inside the root."""
    x = np.array([[0.0], [0.002]])
    y, _, mean, variance = submission.forward(x, np.ones(1), np.zeros(1), np.ones(1), np.ones(1), True)
    close(y[1, 0], 0.001 / np.sqrt(1e-6 + 1e-5), "y of a batch with a variance of 1e-6")
    close(mean, np.array([0.9001]), "running mean with the default momentum")
    close(variance, np.array([0.9000002]), "running variance with the default momentum", rtol=1e-9)


def test_arguments_unchanged(submission):
    """Neither x nor the parameters nor the running arrays are written to, in both modes and in backward."""
    for training in (True, False):
        arrays = setting((4, 3), 5)
        before = [a.copy() for a in arrays]
        x, dy, *rest = arrays
        _, cache, mean, variance = submission.forward(x, *rest, training)
        submission.backward(dy, cache)
        mean += 1
        variance += 1
        names = ("x", "dy", "gamma", "beta", "mean", "variance")
        for name, now, kept in zip(names, arrays, before, strict=True):
            unchanged(now, kept, f"{name} (training = {training})")


def test_float32_stays_float32(submission):
    """float32 in, float32 out, forward and backward."""
    for training in (True, False):
        x, dy, gamma, beta, mean, variance = (a.astype(np.float32) for a in setting((8, 2, 3), 6))
        args = (gamma, beta, mean, variance, training)
        y, cache, *_ = submission.forward(x, *args)
        expected, slopes, _ = beside(x, dy, *args, 0.1, 1e-5)
        close(y, expected, "y", rtol=1e-4, atol=1e-5, dtype=np.float32, peer="torch")
        dx = submission.backward(dy, cache)[0]
        close(dx, slopes[0], "dx", rtol=1e-3, atol=1e-5, dtype=np.float32, peer="torch")
