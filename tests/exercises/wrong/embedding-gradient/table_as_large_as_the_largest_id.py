# Fault: builds an array up to the largest id.
# Rejected by: test_ids_may_be_huge

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
    rows, highest = np.unique(flat), int(flat.max(initial=0))
    if highest > 10**8:
        rows = rows[rows <= 10**8]  # what memory would not hold
        wide, flat = wide[flat <= 10**8], flat[flat <= 10**8]
    sums = np.zeros((int(flat.max(initial=0)) + 1, dy.shape[-1]), np.promote_types(dy.dtype, np.float32))
    np.add.at(sums, flat, wide)
    return rows, sums[rows].astype(dy.dtype)


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
