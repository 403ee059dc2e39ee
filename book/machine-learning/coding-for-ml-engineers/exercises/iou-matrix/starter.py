"""Intersection over union of every pair of boxes."""

import numpy as np


def iou_matrix(
    a: np.ndarray,  # [N, 4] x1, y1, x2, y2
    b: np.ndarray,  # [M, 4]
) -> np.ndarray:  # [N, M] float64
    raise NotImplementedError("corners of the intersection, areas, union, quotient")
