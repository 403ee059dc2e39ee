# Fault: moves the origin to the mean and trusts that this is enough.
# Rejected by: test_two_clusters_far_apart

import numpy as np

PAIRS = 10_000  # whose differences are held at once
NEAR = 1e-6  # a square below this share of the norms has lost half of its digits


def distances(
    x: np.ndarray,  # [N, D]
    y: np.ndarray,  # [M, D]
) -> np.ndarray:  # [N, M] float64
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"Expected [N, D] and [M, D], got {x.shape} and {y.shape}.")
    x, y = x.astype(np.float64), y.astype(np.float64)
    centre = y.sum(axis=0) / max(len(y), 1)
    x, y = x - centre, y - centre
    norms = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)  # [N, M]
    squares = norms - 2 * (x @ y.T)
    squares[squares <= 1e-15 * norms] = 0.0
    return np.sqrt(squares)
