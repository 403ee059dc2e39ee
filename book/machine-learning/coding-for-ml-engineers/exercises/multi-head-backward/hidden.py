"""Hidden tests: the library, one position at a time, many heads, the cache, large scores, arguments."""

import numpy as np
import torch

from handbook.practice.checks import close, unchanged

NAMES = ("dx", "dwq", "dwk", "dwv", "dwo")


def made(B, T, E, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(B, T, E)), *(rng.normal(size=(E, E)) / E**0.5 for _ in range(4))]


def beside(arrays, heads, dy):
    x, wq, wk, wv, wo = tensors = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    q, k, v = ((x @ w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    y = mixed.transpose(1, 2).flatten(2) @ wo
    y.backward(torch.from_numpy(dy))
    return y.detach().numpy(), [t.grad.numpy() for t in tensors]


def compare(submission, arrays, heads, dy, what):
    y, cache = submission.forward(*arrays, heads)
    expected, slopes = beside(arrays, heads, dy)
    close(y, expected, f"y, {what}", rtol=1e-8, atol=1e-10, peer="torch")
    for name, got, want in zip(NAMES, submission.backward(dy, cache), slopes, strict=True):
        close(got, want, f"{name}, {what}", rtol=1e-7, atol=1e-9, peer="torch")


def test_parity_with_torch(submission):
    """Values and the five gradients equal torch's for 1, 2, 3 and 6 heads."""
    for heads in (1, 2, 3, 6):
        dy = np.random.default_rng(heads).normal(size=(3, 5, 6))
        compare(submission, made(3, 5, 6, heads), heads, dy, f"{heads} heads")


def test_one_position(submission):
    """With T = 1 the weights are 1: q and k get no gradient."""
    arrays, dy = made(2, 1, 4, 10), np.random.default_rng(11).normal(size=(2, 1, 4))
    compare(submission, arrays, 2, dy, "one position")
    _, dwq, dwk, *_ = submission.backward(dy, submission.forward(*arrays, 2)[1])
    close(dwq, np.zeros((4, 4)), "dwq", atol=1e-12)
    close(dwk, np.zeros((4, 4)), "dwk", atol=1e-12)


def test_large_scores_stay_finite(submission):
    """Scores around 10,000 and -10,000 give finite values and gradients."""
    x = np.array([[[100.0, 1.0], [99.0, -100.0], [-100.0, 5.0]]])
    arrays = [x, np.eye(2), np.eye(2), np.eye(2), np.eye(2)]
    compare(submission, arrays, 1, np.ones((1, 3, 2)), "large scores")
    compare(submission, [x, -np.eye(2), *arrays[2:]], 1, np.ones((1, 3, 2)), "large negative scores")


def test_the_same_cache_twice(submission):
    """backward adds nothing up behind the scenes, and is linear in dy."""
    arrays, dy = made(2, 4, 4, 12), np.random.default_rng(13).normal(size=(2, 4, 4))
    cache = submission.forward(*arrays, 2)[1]
    first = submission.backward(dy, cache)
    for name, once, twice in zip(NAMES, first, submission.backward(2 * dy, cache), strict=True):
        close(twice, 2 * once, f"{name} of twice the gradient", rtol=1e-9, atol=1e-12)


def test_arguments_unchanged(submission):
    """x, the weights and dy are as they were after forward and backward."""
    arrays, dy = made(1, 3, 4, 14), np.ones((1, 3, 4))
    before = [a.copy() for a in arrays]
    submission.backward(dy, submission.forward(*arrays, 2)[1])
    for name, now, kept in zip(("x", "wq", "wk", "wv", "wo"), arrays, before, strict=True):
        unchanged(now, kept, name)
    unchanged(dy, np.ones((1, 3, 4)), "dy")
