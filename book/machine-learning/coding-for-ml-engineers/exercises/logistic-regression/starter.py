"""L2-regularised logistic regression: loss, gradients and training."""

import numpy as np


def loss_and_gradients(
    w: np.ndarray,  # [D]
    b: float,
    x: np.ndarray,  # [N, D]
    y: np.ndarray,  # [N] 0 or 1
    l2: float,
    weights: np.ndarray | None = None,  # [N]
) -> tuple[float, np.ndarray, float]:  # loss, [D] float64, float
    raise NotImplementedError("scores, stable loss, residuals")


def fit(
    x: np.ndarray,  # [N, D]
    y: np.ndarray,  # [N]
    l2: float,
    weights: np.ndarray | None = None,
    tolerance: float = 1e-8,
) -> tuple[np.ndarray, float]:  # [D] float64, bias
    raise NotImplementedError("Newton's steps, or many of gradient descent")
