"""The most probable states of a hidden Markov model."""

from collections.abc import Sequence

import numpy as np


def viterbi(
    initial: np.ndarray,  # [S], log-probabilities
    transition: np.ndarray,  # [S, S]
    emission: np.ndarray,  # [S, V]
    observed: Sequence[int],  # [T]
) -> tuple[list[int], float]:
    raise NotImplementedError("the best way into each state, and where it came from")
