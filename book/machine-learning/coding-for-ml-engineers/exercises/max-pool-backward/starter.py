"""Max pooling and its gradient."""

import numpy as np


def forward(
    x: np.ndarray,  # [B, C, H, W]
    size: int,
    stride: int,
) -> tuple[np.ndarray, tuple]:  # y [B, C, H', W'] and what backward needs
    raise NotImplementedError("windows, the largest of each, and where it was")


def backward(
    dy: np.ndarray,  # [B, C, H', W']
    cache: tuple,
) -> np.ndarray:  # dx [B, C, H, W]
    raise NotImplementedError("scatter, and add where windows overlap")
