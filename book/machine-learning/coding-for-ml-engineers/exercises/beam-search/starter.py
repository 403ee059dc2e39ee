"""Beam search with a length penalty."""

from collections.abc import Callable

import numpy as np

Tokens = tuple[int, ...]


def beam_search(
    step: Callable[[Tokens], np.ndarray],  # -> [V], log probabilities
    end: int,
    width: int,
    limit: int,
    alpha: float = 0.0,
) -> list[tuple[Tokens, float]]:
    raise NotImplementedError("extend, set the ended aside, keep the best")
