"""Greedy non-maximum suppression, a class at a time."""

import numpy as np


def nms(
    boxes: np.ndarray,  # [N, 4]
    scores: np.ndarray,  # [N]
    labels: np.ndarray,  # [N]
    threshold: float,
    limit: int | None = None,
) -> np.ndarray:  # [kept] int64, best score first
    raise NotImplementedError("sort once, then keep the best and drop what it covers")
