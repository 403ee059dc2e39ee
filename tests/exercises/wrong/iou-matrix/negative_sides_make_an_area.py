# Fault: multiplies the sides first and clips the product, so two negative sides count.
# Rejected by: test_apart_and_touching_are_zero

import numpy as np


def _boxes(values: np.ndarray, name: str) -> np.ndarray:
    boxes = np.asarray(values, dtype=np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name}: expected shape [N, 4], got {boxes.shape}.")
    if not (boxes[:, :2] <= boxes[:, 2:]).all():  # false for NaN too
        raise ValueError(f"{name}: expected x1 <= x2 and y1 <= y2 in every box.")
    return boxes


def iou_matrix(
    a: np.ndarray,  # [N, 4] x1, y1, x2, y2
    b: np.ndarray,  # [M, 4]
) -> np.ndarray:  # [N, M] float64
    a, b = _boxes(a, "a"), _boxes(b, "b")
    low = np.maximum(a[:, None, :2], b[:, :2])  # [N, M, 2]
    high = np.minimum(a[:, None, 2:], b[:, 2:])
    overlap = np.maximum((high - low).prod(axis=-1), 0.0)
    area_a = (a[:, 2:] - a[:, :2]).prod(axis=1)
    area_b = (b[:, 2:] - b[:, :2]).prod(axis=1)
    union = area_a[:, None] + area_b - overlap
    return overlap / np.where(union > 0, union, 1.0)  # no union, no overlap
