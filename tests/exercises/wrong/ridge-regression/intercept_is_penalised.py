# Fault: solves with a column of ones inside the penalty.
# Rejected by: test_worked_example

import numpy as np


def ridge(x, y, alpha, weights=None):
    if len(x) != len(y) or not alpha >= 0:
        raise ValueError("bad alpha or lengths")
    counts = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    if counts.shape != (len(x),) or (counts < 0).any() or counts.sum() == 0:
        raise ValueError("bad weights")
    wide = np.concatenate((x.astype(np.float64), np.ones((len(x), 1))), axis=1)
    curvature = wide.T @ (counts[:, None] * wide) + alpha * np.eye(wide.shape[1])
    found = np.linalg.pinv(curvature) @ (wide.T @ (counts * y.T).T)
    return found[:-1], np.asarray(found[-1])
