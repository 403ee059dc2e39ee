# Fault: leaves out the half in the loss only.
# Rejected by: test_worked_example

import numpy as np

STEPS = 200
SLACK = 1.000000000001  # near the minimum the loss differs by rounding only


def _shares(x: np.ndarray, y: np.ndarray, l2: float, weights: np.ndarray | None) -> np.ndarray:
    if len(x) != len(y):
        raise ValueError(f"Expected as many labels as rows, got {len(y)} for {len(x)}.")
    if not ((y == 0) | (y == 1)).all():
        raise ValueError("Expected labels 0 and 1.")
    if not l2 > 0:
        raise ValueError(f"Expected l2 above 0, got {l2}.")
    counts = np.ones(len(x)) if weights is None else weights.astype(np.float64)
    if counts.shape != (len(x),) or (counts < 0).any() or not counts.sum() > 0:
        raise ValueError("Expected a weight of at least 0 for each row, and a sum above 0.")
    return counts / counts.sum()


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -z))


def loss_and_gradients(
    w: np.ndarray,  # [D]
    b: float,
    x: np.ndarray,  # [N, D]
    y: np.ndarray,  # [N] 0 or 1
    l2: float,
    weights: np.ndarray | None = None,  # [N]
) -> tuple[float, np.ndarray, float]:  # loss, [D] float64, float
    shares = _shares(x, y, l2, weights)
    z = x @ w.astype(np.float64) + b
    losses = np.where(y == 1, np.logaddexp(0.0, -z), np.logaddexp(0.0, z))
    residual = shares * (_sigmoid(z) - y)
    loss = shares @ losses + l2 * (w @ w)
    return float(loss), x.T @ residual + l2 * w, float(residual.sum())


def fit(
    x: np.ndarray,  # [N, D]
    y: np.ndarray,  # [N]
    l2: float,
    weights: np.ndarray | None = None,
    tolerance: float = 1e-8,
) -> tuple[np.ndarray, float]:  # [D] float64, bias
    shares = _shares(x, y, l2, weights)
    wide = np.concatenate((x.astype(np.float64), np.ones((len(x), 1))), axis=1)  # [N, D + 1]
    penalty = np.diag([l2] * x.shape[1] + [0.0])
    point = np.zeros(wide.shape[1])
    for _ in range(STEPS):
        loss, dw, db = loss_and_gradients(point[:-1], point[-1], x, y, l2, weights)
        gradient = np.append(dw, db)
        if np.abs(gradient).max() <= tolerance:
            break
        p = _sigmoid(wide @ point)
        curvature = wide.T @ ((shares * p * (1.0 - p))[:, None] * wide) + penalty
        step = np.linalg.lstsq(curvature, gradient)[0]
        for _ in range(STEPS):
            moved = point - step
            if loss_and_gradients(moved[:-1], moved[-1], x, y, l2, weights)[0] <= loss * SLACK:
                break
            step /= 2
        point = moved
    return point[:-1], float(point[-1])
