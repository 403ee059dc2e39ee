"""Hidden tests: the library, sums over all leading axes, float32 far from zero, the cache, eps."""

import numpy as np
import torch

from handbook.practice.checks import close, equal, unchanged


def beside(x, gamma, beta, dy, eps):
    tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in (x, gamma, beta)]
    y = torch.nn.functional.layer_norm(tensors[0], x.shape[-1:], tensors[1], tensors[2], eps)
    y.backward(torch.from_numpy(dy))
    return y.detach().numpy(), [t.grad.numpy() for t in tensors]


def test_parity_with_torch(submission):
    """Values and the three gradients equal torch's, for one to four axes and for D = 1."""
    rng = np.random.default_rng(2)
    for shape in ((6,), (4, 6), (3, 4, 6), (2, 3, 2, 5), (4, 1)):
        x, dy = rng.normal(2, 3, size=shape), rng.normal(size=shape)
        gamma, beta = rng.normal(size=shape[-1]), rng.normal(size=shape[-1])
        y, cache = submission.forward(x, gamma, beta, 1e-3)
        grads = submission.backward(dy, cache)
        expected, slopes = beside(x, gamma, beta, dy, 1e-3)
        close(y, expected, f"y of {shape}", rtol=1e-8, peer="torch")
        for name, got, want in zip(("dx", "dgamma", "dbeta"), grads, slopes, strict=True):
            close(got, want, f"{name} of {shape}", rtol=1e-7, atol=1e-9, peer="torch")


def test_default_eps(submission):
    """eps is 1e-5, inside the root: it shows where the spread is small."""
    x, one, zero = np.array([[0.0, 0.002]]), np.ones(2), np.zeros(2)
    y, _ = submission.forward(x, one, zero)
    expected = 0.001 / np.sqrt(1e-6 + 1e-5)
    close(y, np.array([[-expected, expected]]), "a row with a variance of 1e-6")


def test_gradient_adds_up_to_nothing(submission):
    """Shifting a row changes no output, so every row of dx adds up to 0."""
    rng = np.random.default_rng(3)
    x, dy = rng.normal(size=(5, 7)), rng.normal(size=(5, 7))
    _, cache = submission.forward(x, rng.normal(size=7), rng.normal(size=7))
    close(submission.backward(dy, cache)[0].sum(-1), np.zeros(5), "sums of the rows of dx", atol=1e-12)


def test_float32_far_from_zero(submission):
    """float32 rows around 10,000 with a spread of 1: the variance is that of centred values."""
    rng = np.random.default_rng(4)
    small = rng.normal(size=(4, 64)).astype(np.float32)
    x = np.float32(10_000) + small
    y, cache = submission.forward(x, np.ones(64, np.float32), np.zeros(64, np.float32))
    exact = x.astype(np.float64)
    expected = (exact - exact.mean(-1, keepdims=True)) / np.sqrt(exact.var(-1, keepdims=True) + 1e-5)
    close(y, expected.astype(np.float32), "rows around 10,000", rtol=1e-2, atol=5e-3, dtype=np.float32)
    dx = submission.backward(small, cache)[0]
    equal(str(dx.dtype), "float32", "dtype of dx")


def test_two_passes_before_the_first_backward(submission):
    """Each cache belongs to its own forward pass, and arguments stay as they were."""
    rng = np.random.default_rng(5)
    one, two, gamma, beta, dy = (rng.normal(size=s) for s in ((2, 4), (2, 4), 4, 4, (2, 4)))
    before = [one.copy(), gamma.copy(), beta.copy(), dy.copy()]
    _, first = submission.forward(one, gamma, beta)
    submission.forward(two, gamma, beta)
    dx = submission.backward(dy, first)[0]
    close(dx, beside(one, gamma, beta, dy, 1e-5)[1][0], "dx of the first pass", rtol=1e-7, peer="torch")
    names = ("x", "gamma", "beta", "dy")
    for name, now, kept in zip(names, (one, gamma, beta, dy), before, strict=True):
        unchanged(now, kept, name)
