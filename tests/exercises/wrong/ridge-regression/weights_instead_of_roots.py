# Fault: multiplies rows by their weights, which then count squared.
# Rejected by: test_gradient_is_zero

import numpy as np


def ridge(
    x: np.ndarray,  # [N, D]
    y: np.ndarray,  # [N] or [N, T]
    alpha: float,
    weights: np.ndarray | None = None,  # [N]
) -> tuple[np.ndarray, np.ndarray]:  # w: [D] or [D, T]; b: () or [T]
    if len(x) != len(y):
        raise ValueError(f"Expected as many targets as rows, got {len(y)} for {len(x)}.")
    if not alpha >= 0:
        raise ValueError(f"alpha: expected at least 0, got {alpha}.")
    counts = np.ones(len(x)) if weights is None else weights.astype(np.float64)
    if counts.shape != (len(x),) or (counts < 0).any() or counts.sum() == 0:
        raise ValueError("weights: expected at least 0 for each row, and not all of them 0.")
    x, targets = x.astype(np.float64), y.astype(np.float64).reshape(len(y), -1)  # [N, T]
    shares = counts / counts.sum()
    x_mean, y_mean = shares @ x, shares @ targets
    root = counts[:, None]
    width = x.shape[1]
    rows = np.concatenate((root * (x - x_mean), np.sqrt(alpha) * np.eye(width)))
    wanted = np.concatenate((root * (targets - y_mean), np.zeros((width, targets.shape[1]))))
    w = np.linalg.lstsq(rows, wanted)[0]  # the shortest where there are several
    b = y_mean - x_mean @ w
    return w.reshape(width, *y.shape[1:]), b.reshape(y.shape[1:])
