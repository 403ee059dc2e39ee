# Fault: replaces minus infinity by a large negative number, so an impossible text has a path.
# Rejected by: test_nothing_possible_is_refused

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
    initial, transition, emission = (np.maximum(part, -1e9) for part in (initial, transition, emission))
    best = initial + emission[:, observed[0]]  # [S]
    came = []
    for symbol in observed[1:]:
        scores = best[:, None] + transition  # [S, S], from row to column
        came.append(scores.argmax(axis=0))  # the smallest index at ties
        best = scores.max(axis=0) + emission[:, symbol]
    score = float(best.max())
    if score == -np.inf:
        raise ValueError("expected a path of probability above 0, got none")
    path = [int(best.argmax())]
    for step in reversed(came):
        path.append(int(step[path[-1]]))
    return path[::-1], score
