"""The gradient of an embedding table, compact and dense."""

import numpy as np


def touched(
    ids: np.ndarray,  # [...], int
    dy: np.ndarray,  # [..., D]
    padding: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # rows [U], ascending, and sums [U, D]
    raise NotImplementedError("the rows that occur, and what each collects")


def embedding_gradient(
    ids: np.ndarray,  # [...], int
    dy: np.ndarray,  # [..., D]
    vocabulary: int,
    padding: int | None = None,
) -> np.ndarray:  # [V, D]
    raise NotImplementedError("zeros, and the touched rows")
