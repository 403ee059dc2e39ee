# Fault: takes the remainder for the row and the quotient for the column.
# Rejected by: test_worked_example

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def forward(
    x: np.ndarray,  # [B, C, H, W]
    size: int,
    stride: int,
) -> tuple[np.ndarray, tuple]:  # y [B, C, H', W'] and what backward needs
    """Raises ValueError for windows that cannot be."""
    if size < 1 or stride < 1 or size > min(x.shape[2:]):
        raise ValueError(f"A window of {size} by steps of {stride} does not fit images of {x.shape[2:]}.")
    windows = sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    flat = windows.reshape(*windows.shape[:4], size * size)
    best = flat.argmax(axis=-1)  # the first of equals
    starts_down, starts_across = (stride * np.arange(count) for count in best.shape[2:])
    rows = starts_down[:, None] + best % size
    columns = starts_across + best // size
    return flat.max(axis=-1), (x.shape, rows, columns)


def backward(
    dy: np.ndarray,  # [B, C, H', W']
    cache: tuple,
) -> np.ndarray:  # dx [B, C, H, W]
    """np.add.at adds as often as a place repeats; `dx[...] += dy` would add once."""
    (B, C, H, W), rows, columns = cache
    dx = np.zeros((B, C, H, W), dy.dtype)
    images, channels = np.arange(B)[:, None, None, None], np.arange(C)[:, None, None]
    np.add.at(dx, (images, channels, rows, columns), dy)
    return dx
