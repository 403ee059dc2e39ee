"""Running maximum, running sum, running weighted sum (Milakov and Gimelshein 2018, arXiv:1805.02867, section
3; Dao et al. 2022, FlashAttention, arXiv:2205.14135, section 3.1).

One block is a partial result, and partial results merge: that is the whole algorithm. A kernel that walks a
sequence's pages merges as it goes; one that splits a long cache over cores merges at the end. The order
doesn't matter because a merge only brings both sides to the same scale and adds.
"""

from collections.abc import Iterator

import numpy as np

State = tuple[np.ndarray, np.ndarray, np.ndarray]  # largest [T, 1], sum [T, 1], weighted [T, D]


def partial(
    scores: np.ndarray,  # [T, S]
    values: np.ndarray,  # [S, D]
) -> State:
    scores, values = scores.astype(np.float32), values.astype(np.float32)
    largest = scores.max(axis=1, keepdims=True, initial=-np.inf)  # initial: there may be no keys
    weights = np.exp(scores - _scale(largest))
    return largest, weights.sum(axis=1, keepdims=True), weights @ values


def merge(a: State, b: State) -> State:
    largest = np.maximum(a[0], b[0])
    scale = _scale(largest)
    of_a, of_b = np.exp(a[0] - scale), np.exp(b[0] - scale)  # 1 for the larger; 0 for one that saw nothing
    return largest, of_a * a[1] + of_b * b[1], of_a * a[2] + of_b * b[2]


def finish(state: State) -> np.ndarray:  # [T, D], float32
    _, total, weighted = state
    return weighted / np.where(total > 0, total, np.float32(1))  # nothing seen: 0 / 1


def attend(blocks: Iterator[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:  # [T, D], float32
    state = partial(*next(blocks))
    for scores, values in blocks:
        state = merge(state, partial(scores, values))
    return finish(state)


def _scale(largest: np.ndarray) -> np.ndarray:
    """What exponents are taken from: -inf less -inf is no number, -inf less 0 gives a weight of 0."""
    return np.where(np.isfinite(largest), largest, np.float32(0))
