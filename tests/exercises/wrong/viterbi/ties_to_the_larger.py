# Fault: takes the larger state where two are equal.
# Rejected by: test_ties_take_the_smaller_state_from_the_end

from collections.abc import Sequence

import numpy as np


def viterbi(
    initial: np.ndarray,  # [S], log-probabilities
    transition: np.ndarray,  # [S, S]
    emission: np.ndarray,  # [S, V]
    observed: Sequence[int],  # [T]
) -> tuple[list[int], float]:
    if len(observed) == 0:
        raise ValueError("expected at least one symbol")
    best = initial + emission[:, observed[0]]  # [S]
    came = []
    for symbol in observed[1:]:
        scores = best[:, None] + transition  # [S, S], from row to column
        came.append(scores.argmax(axis=0))  # the smallest index at ties
        best = scores.max(axis=0) + emission[:, symbol]
    score = float(best.max())
    if score == -np.inf:
        raise ValueError("expected a path of probability above 0, got none")
    path = [len(best) - 1 - int(best[::-1].argmax())]
    for step in reversed(came):
        path.append(int(step[path[-1]]))
    return path[::-1], score
