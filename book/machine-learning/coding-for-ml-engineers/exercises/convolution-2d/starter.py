"""Two-dimensional convolution by windows."""

import numpy as np


def conv2d(
    x: np.ndarray,  # [B, C, H, W]
    w: np.ndarray,  # [K, C / groups, kh, kw]
    bias: np.ndarray | None = None,  # [K]
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
) -> np.ndarray:  # [B, K, H', W']
    raise NotImplementedError("pad, take windows as a view, sum products")
