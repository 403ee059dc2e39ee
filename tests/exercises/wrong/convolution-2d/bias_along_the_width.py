# Fault: adds the bias along the last axis.
# Rejected by: test_groups_and_bias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def conv2d(
    x: np.ndarray,  # [B, C, H, W]
    w: np.ndarray,  # [K, C / groups, kh, kw]
    bias: np.ndarray | None = None,  # [K]
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
) -> np.ndarray:  # [B, K, H', W']
    """Raises ValueError for channels that do not fit and strides below 1; NumPy: for too large a kernel."""
    (B, C, _, _), (K, mine, kh, kw) = x.shape, w.shape
    if mine * groups != C or K % groups:
        raise ValueError(f"{C} channels in {groups} groups do not fit kernels of {w.shape}.")
    if min(stride) < 1:  # a negative one would be a slice backwards
        raise ValueError(f"Expected strides of 1 or more, got {stride}.")
    padded = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    windows = sliding_window_view(padded, (kh, kw), axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    rows, columns = windows.shape[2:4]
    windows = windows.reshape(B, groups, mine, rows, columns, kh, kw)
    kernels = w.reshape(groups, K // groups, mine, kh, kw)
    y = np.einsum("bgchwij,gocij->bgohw", windows, kernels, optimize=True)
    y = y.reshape(B, K, rows, columns)
    return y if bias is None else y + bias.reshape(-1, 1, 1)[::-1]
