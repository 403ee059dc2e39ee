# Fault: takes the level at or above a weight instead of the nearest.
# Rejected by: test_border_between_two_levels

import numpy as np

NF4 = np.array(
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
        -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
        0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ],
    dtype=np.float32,
)  # fmt: skip
ZERO = 7  # the code of 0


def quantize(
    weight: np.ndarray,  # [O, I]
    block: int = 64,
) -> tuple[np.ndarray, np.ndarray]:  # packed [ceil(O I / 2)] uint8, scales [ceil(O I / block)] float32
    """Raises ValueError for a weight that is no matrix of finite numbers, or a block below 2."""
    if weight.ndim != 2 or not weight.size or block < 2 or not np.isfinite(weight).all():
        raise ValueError(
            f"Expected a matrix of finite numbers and a block from 2 on, got {weight.shape}, {block}."
        )
    flat = weight.astype(np.float32).ravel()
    rows = np.pad(flat, (0, -len(flat) % block)).reshape(-1, block)
    scales = np.abs(rows).max(axis=1)
    normed = rows / np.where(scales > 0, scales, np.float32(1))[:, None]
    borders = NF4[:-1]
    codes = np.searchsorted(borders, normed.ravel()[: len(flat)]).astype(np.uint8)
    codes = np.pad(codes, (0, len(codes) % 2), constant_values=ZERO)
    return codes[0::2] << 4 | codes[1::2], scales


def dequantize(
    packed: np.ndarray,  # [ceil(O I / 2)], uint8
    scales: np.ndarray,  # [ceil(O I / block)], float32
    shape: tuple[int, int],
    block: int = 64,
) -> np.ndarray:  # [O, I], float32
    count = shape[0] * shape[1]
    codes = np.stack((packed >> 4, packed & 15), axis=1).ravel()[:count]
    return (NF4[codes] * np.repeat(scales, block)[:count]).reshape(shape)
