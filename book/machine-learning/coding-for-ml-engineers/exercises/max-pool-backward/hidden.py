"""Hidden tests: the library, the definition by loops, gaps between windows, the cache, dtype, size."""

import numpy as np
import torch

from handbook.practice.checks import close, inside, unchanged


def by_loops(x, dy, size, stride):
    y, dx = np.zeros(dy.shape), np.zeros(x.shape)
    for b, c, i, j in np.ndindex(*dy.shape):
        window = x[b, c, i * stride : i * stride + size, j * stride : j * stride + size]
        row, column = divmod(int(window.argmax()), size)
        y[b, c, i, j] = window[row, column]
        dx[b, c, i * stride + row, j * stride + column] += dy[b, c, i, j]
    return y, dx


def test_definition_by_loops(submission):
    """Sizes and strides from 1 to 3 over small whole numbers, which tie often."""
    rng = np.random.default_rng(1)
    for size in (1, 2, 3):
        for stride in (1, 2, 3):
            x = rng.integers(0, 4, size=(2, 3, 7, 5)).astype(float)
            dy = rng.normal(size=(2, 3, (7 - size) // stride + 1, (5 - size) // stride + 1))
            y, cache = submission.forward(x, size, stride)
            expected_y, expected = by_loops(x, dy, size, stride)
            close(y, expected_y, f"y, size {size}, stride {stride}")
            close(submission.backward(dy, cache), expected, f"dx, size {size}, stride {stride}")


def test_parity_with_torch(submission):
    """Values and gradient equal torch's on the processor, ties included."""
    rng = np.random.default_rng(2)
    for size, stride in ((2, 2), (3, 2), (3, 1), (2, 3)):
        x = np.maximum(rng.normal(size=(2, 2, 8, 9)), 0)  # after a relu: many ties at 0
        tensor = torch.from_numpy(x.copy()).requires_grad_()
        expected = torch.nn.functional.max_pool2d(tensor, size, stride)
        dy = rng.normal(size=tuple(expected.shape))
        expected.backward(torch.from_numpy(dy))
        y, cache = submission.forward(x, size, stride)
        what = f"size {size}, stride {stride}"
        close(y, expected.detach().numpy(), f"y, {what}", peer="torch")
        close(submission.backward(dy, cache), tensor.grad.numpy(), f"dx, {what}", peer="torch")


def test_negative_values(submission):
    """Images below 0 have negative maxima."""
    x = -np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    y, _ = submission.forward(x, 2, 1)
    close(y, np.array([[[[-1.0, -2.0], [-4.0, -5.0]]]]), "y")


def spoil(submission, x, dy):
    """Forward, then the caller changes its image, then backward."""
    x = x.copy()
    _, cache = submission.forward(x, 2, 2)
    x[:] = -x
    return submission.backward(dy, cache)


def test_cache_outlives_the_image(submission):
    """Changing x after the forward pass changes no gradient; arguments stay as they were."""
    x, dy = np.arange(16.0).reshape(1, 1, 4, 4), np.ones((1, 1, 2, 2))
    before = x.copy()
    expected = by_loops(x, dy, 2, 2)[1]
    close(submission.backward(dy, submission.forward(x, 2, 2)[1]), expected, "dx")
    unchanged(x, before, "x")
    unchanged(dy, np.ones((1, 1, 2, 2)), "dy")
    close(inside(submission, spoil, x, dy), expected, "dx after x has changed")


def test_dtype(submission):
    """float32 images and gradients stay float32."""
    x = np.arange(32, dtype=np.float32).reshape(2, 1, 4, 4)
    y, cache = submission.forward(x, 2, 2)
    close(y, x[:, :, 1::2, 1::2], "y", dtype=np.float32)
    dy = np.ones((2, 1, 2, 2), np.float32)
    close(submission.backward(dy, cache), by_loops(x, dy, 2, 2)[1].astype(np.float32), "dx", dtype=np.float32)


def test_whole_image_is_one_window(submission):
    """A window as large as the image leaves one value."""
    x = np.random.default_rng(3).normal(size=(2, 2, 5, 5))
    y, cache = submission.forward(x, 5, 1)
    close(y[:, :, 0, 0], x.max(axis=(2, 3)), "y")
    close(submission.backward(np.ones((2, 2, 1, 1)), cache), (x == y).astype(float), "dx")


def test_images_of_real_size(submission):
    """16 images of 8 channels and 64 by 64 pixels: the gradient adds up to dy."""
    x = np.random.default_rng(4).normal(size=(16, 8, 64, 64)).astype(np.float32)
    y, cache = submission.forward(x, 3, 2)
    dx = submission.backward(np.ones_like(y), cache)
    close(float(dx.sum()), float(y.size), "sum of dx")
