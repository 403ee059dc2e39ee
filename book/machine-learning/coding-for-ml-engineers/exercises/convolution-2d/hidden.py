"""Hidden tests: the definition by loops, the library, depthwise, the whole image as kernel, arguments."""

import itertools

import numpy as np
import torch

from handbook.practice.checks import close, raises, unchanged


def by_loops(x, w, bias, stride, padding, groups):
    (B, _, H, W), (K, mine, kh, kw) = x.shape, w.shape
    (sh, sw), (ph, pw) = stride, padding
    y = np.zeros((B, K, (H + 2 * ph - kh) // sh + 1, (W + 2 * pw - kw) // sw + 1))
    for b, o, i, j in np.ndindex(*y.shape):
        for c, di, dj in itertools.product(range(mine), range(kh), range(kw)):
            row, column = i * sh + di - ph, j * sw + dj - pw
            if 0 <= row < H and 0 <= column < W:
                y[b, o, i, j] += w[o, c, di, dj] * x[b, o // (K // groups) * mine + c, row, column]
        y[b, o, i, j] += bias[o]
    return y


def test_definition_by_loops(submission):
    """Twelve random settings of stride, padding, groups and kernel against the definition."""
    rng = np.random.default_rng(0)
    for turn in range(12):
        groups = int(rng.integers(1, 4))
        x = rng.normal(size=(2, 2 * groups, int(rng.integers(4, 7)), int(rng.integers(4, 8))))
        w = rng.normal(size=(groups * int(rng.integers(1, 3)), 2, *rng.integers(1, 4, size=2)))
        bias = rng.normal(size=len(w))
        stride = tuple(int(s) for s in rng.integers(1, 4, size=2))
        padding = tuple(int(p) for p in rng.integers(0, 3, size=2))
        args = (x, w, bias, stride, padding, groups)
        what = f"turn {turn}: x {x.shape}, w {w.shape}, stride {stride}, padding {padding}, groups {groups}"
        close(submission.conv2d(*args), by_loops(*args), what, rtol=1e-9, atol=1e-12)


def test_parity_with_torch(submission):
    """Equals torch's conv2d for one, two and four groups."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 8, 12, 10))
    for groups in (1, 2, 4):
        w, bias = rng.normal(size=(4, 8 // groups, 3, 2)), rng.normal(size=4)
        tensors = (torch.from_numpy(a) for a in (x, w, bias))
        expected = torch.nn.functional.conv2d(*tensors, (2, 1), (1, 2), groups=groups).numpy()
        got = submission.conv2d(x, w, bias, (2, 1), (1, 2), groups)
        close(got, expected, f"{groups} groups", rtol=1e-8, atol=1e-10, peer="torch")


def test_depthwise(submission):
    """As many groups as channels: each channel is scaled by its own kernel."""
    x = np.random.default_rng(2).normal(size=(2, 3, 4, 4))
    w = np.array([2.0, -1.0, 0.5]).reshape(3, 1, 1, 1)
    close(submission.conv2d(x, w, groups=3), x * w.reshape(3, 1, 1), "depthwise, kernels of 1 by 1")


def test_kernel_as_large_as_the_padded_image(submission):
    """One window is left: its sum."""
    x = np.random.default_rng(3).normal(size=(1, 2, 3, 5))
    got = submission.conv2d(x, np.ones((1, 2, 5, 7)), None, (1, 1), (1, 1))
    close(got, x.sum().reshape(1, 1, 1, 1), "a kernel of 5 by 7 over 3 by 5 with padding 1")


def test_strides_and_padding_that_cannot_be(submission):
    """Strides that stand still or go backwards, no groups and negative padding raise ValueError."""
    x, w, call = np.ones((1, 4, 5, 5)), np.ones((4, 4, 2, 2)), submission.conv2d
    for stride in ((0, 1), (1, 0), (-1, 1), (1, -2)):
        raises(ValueError, call, x, w, None, stride, what=f"a stride of {stride}")
    raises(ValueError, call, x, w, None, (1, 1), (0, 0), 0, what="0 groups")
    raises(ValueError, call, x, w, None, (1, 1), (-1, 0), what="a padding of -1")


def test_batch_of_real_size(submission):
    """8 images of 16 channels and 64 by 64 pixels, float32; arguments unchanged."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(8, 16, 64, 64)).astype(np.float32)
    w = rng.normal(size=(16, 16, 3, 3)).astype(np.float32)
    before = x.copy(), w.copy()
    expected = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(w), padding=1).numpy()
    got = submission.conv2d(x, w, None, (1, 1), (1, 1))
    close(got, expected, "8 images", rtol=1e-3, atol=1e-3, dtype=np.float32, peer="torch")
    unchanged(x, before[0], "x")
    unchanged(w, before[1], "w")
