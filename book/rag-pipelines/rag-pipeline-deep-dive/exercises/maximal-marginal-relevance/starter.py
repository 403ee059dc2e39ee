"""Choosing what answers and has not been said."""

import numpy as np


def mmr(
    relevance: np.ndarray,  # [N]
    vectors: np.ndarray,  # [N, D], float32, of length 1
    limit: int,
    balance: float = 0.7,
) -> list[int]:  # places, the first chosen first
    raise NotImplementedError("relevant, and unlike what is chosen already")
