# Fault: keeps the image itself and looks for the maxima later, when it may have changed.
# Rejected by: test_cache_outlives_the_image

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
    return flat.max(axis=-1), (x, size, stride)


def forward_places(x, size, stride):
    windows = sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    best = windows.reshape(*windows.shape[:4], size * size).argmax(axis=-1)
    down, across = (stride * np.arange(count) for count in best.shape[2:])
    return x.shape, down[:, None] + best // size, across + best % size


def backward(
    dy: np.ndarray,  # [B, C, H', W']
    cache: tuple,
) -> np.ndarray:  # dx [B, C, H, W]
    """np.add.at adds as often as a place repeats; `dx[...] += dy` would add once."""
    x, size, stride = cache
    (B, C, H, W), rows, columns = forward_places(x, size, stride)
    dx = np.zeros((B, C, H, W), dy.dtype)
    images, channels = np.arange(B)[:, None, None, None], np.arange(C)[:, None, None]
    np.add.at(dx, (images, channels, rows, columns), dy)
    return dx
