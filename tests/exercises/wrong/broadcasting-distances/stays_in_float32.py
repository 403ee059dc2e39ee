# Fault: computes in the type that came in.
# Rejected by: test_float32_is_computed_in_float64

import numpy as np

PAIRS = 10_000  # whose differences are held at once
NEAR = 1e-6  # a square below this share of the norms has lost half of its digits


def distances(
    x: np.ndarray,  # [N, D]
    y: np.ndarray,  # [M, D]
) -> np.ndarray:  # [N, M] float64
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"Expected [N, D] and [M, D], got {x.shape} and {y.shape}.")
    norms = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)  # [N, M]
    squares = norms - 2 * (x @ y.T)
    rows, columns = np.nonzero(squares < NEAR * norms)
    for at in range(0, len(rows), PAIRS):
        i, j = rows[at : at + PAIRS], columns[at : at + PAIRS]
        squares[i, j] = ((x[i] - y[j]) ** 2).sum(axis=1)
    return np.sqrt(squares).astype(np.float64)
