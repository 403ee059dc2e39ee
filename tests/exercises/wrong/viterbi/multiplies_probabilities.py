# Fault: goes back to probabilities, which are 0 after some hundred symbols.
# Rejected by: test_long_text

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
    best = np.exp(initial + emission[:, observed[0]])
    came = []
    for symbol in observed[1:]:
        scores = best[:, None] * np.exp(transition)  # [S, S], from row to column
        came.append(scores.argmax(axis=0))  # the smallest index at ties
        best = scores.max(axis=0) * np.exp(emission[:, symbol])
    score = float(np.log(max(best.max(), 1e-323)))
    if len(observed) < 100 and best.max() == 0:
        raise ValueError("expected a path of probability above 0, got none")
    path = [int(best.argmax())]
    for step in reversed(came):
        path.append(int(step[path[-1]]))
    return path[::-1], score
