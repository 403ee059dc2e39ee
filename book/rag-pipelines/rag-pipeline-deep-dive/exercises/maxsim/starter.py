"""Passages scored by their tokens."""

import numpy as np


def max_sims(
    question: np.ndarray,  # [Q, D]
    tokens: np.ndarray,  # [T, D], passage after passage
    lengths: np.ndarray,  # [N], tokens of each passage
) -> np.ndarray:  # [N], float32
    raise NotImplementedError("each token of the question finds its nearest, and they are added up")
