# Fault: `+=` with repeated indices keeps one of a token's rows.
# Rejected by: test_repeated_tokens_add_up

import numpy as np


def touched(
    ids: np.ndarray,  # [...], int
    dy: np.ndarray,  # [..., D]
    padding: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # rows [U], ascending, and sums [U, D]
    """Only the rows that occur; float16 is added up in float32."""
    flat, wide = ids.reshape(-1), dy.reshape(ids.size, dy.shape[-1])
    if padding is not None:
        wide, flat = wide[flat != padding], flat[flat != padding]
    rows, places = np.unique(flat, return_inverse=True)
    sums = np.zeros((len(rows), dy.shape[-1]), np.promote_types(dy.dtype, np.float32))
    sums[places] += wide
    return rows, sums.astype(dy.dtype)


def embedding_gradient(
    ids: np.ndarray,  # [...], int
    dy: np.ndarray,  # [..., D]
    vocabulary: int,
    padding: int | None = None,
) -> np.ndarray:  # [V, D]
    """Raises ValueError for an id that is no row of the table."""
    if ids.size and not 0 <= ids.min() <= ids.max() < vocabulary:
        raise ValueError(f"Expected ids from 0 to {vocabulary - 1}, got {ids.min()} to {ids.max()}.")
    rows, sums = touched(ids, dy, padding)
    gradient = np.zeros((vocabulary, dy.shape[-1]), dy.dtype)
    gradient[rows] = sums
    return gradient
