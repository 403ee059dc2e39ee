# Fault: a thousand steps of gradient descent at rate 0.1.
# Rejected by: test_badly_scaled_features

import numpy as np


def _check(x, y, l2, weights):
    if len(x) != len(y) or not ((y == 0) | (y == 1)).all() or not l2 > 0:
        raise ValueError("bad data")
    counts = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    if counts.shape != (len(x),) or (counts < 0).any() or not counts.sum() > 0:
        raise ValueError("bad weights")
    return counts / counts.sum()


def loss_and_gradients(w, b, x, y, l2, weights=None):
    shares = _check(x, y, l2, weights)
    z = x @ w + b
    losses = np.logaddexp(0.0, z) - y * z
    residual = shares * (np.exp(-np.logaddexp(0.0, -z)) - y)
    return float(shares @ losses + 0.5 * l2 * (w @ w)), x.T @ residual + l2 * w, float(residual.sum())


def fit(x, y, l2, weights=None, tolerance=1e-8):
    w, b = np.zeros(x.shape[1]), 0.0
    for _ in range(1000):
        _, dw, db = loss_and_gradients(w, b, x, y, l2, weights)
        w, b = w - 0.1 * dw, b - 0.1 * db
    return w, b
