"""Weighted ridge regression with an intercept that is not penalised."""

import numpy as np


def ridge(
    x: np.ndarray,  # [N, D]
    y: np.ndarray,  # [N] or [N, T]
    alpha: float,
    weights: np.ndarray | None = None,  # [N]
) -> tuple[np.ndarray, np.ndarray]:  # w: [D] or [D, T]; b: () or [T]
    raise NotImplementedError("centre, solve, intercept")
