"""NF4: weights in blocks, four bits each."""

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


def quantize(
    weight: np.ndarray,  # [O, I]
    block: int = 64,
) -> tuple[np.ndarray, np.ndarray]:  # packed [ceil(O I / 2)] uint8, scales [ceil(O I / block)] float32
    raise NotImplementedError("scale each block, find the nearest level, put two codes into a byte")


def dequantize(
    packed: np.ndarray,  # [ceil(O I / 2)], uint8
    scales: np.ndarray,  # [ceil(O I / block)], float32
    shape: tuple[int, int],  # O, I
    block: int = 64,
) -> np.ndarray:  # [O, I], float32
    raise NotImplementedError("level times scale")
