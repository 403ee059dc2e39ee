# Fault: takes the best state at each time, whether or not one leads to the next.
# Rejected by: test_best_path_is_not_greedy

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
    greedy = [int((initial + emission[:, observed[0]]).argmax())]
    for symbol in observed[1:]:
        greedy.append(int((transition[greedy[-1]] + emission[:, symbol]).argmax()))
    score = float(best.max())
    if score == -np.inf:
        raise ValueError("expected a path of probability above 0, got none")
    path = [int(best.argmax())]
    for step in reversed(came):
        path.append(int(step[path[-1]]))
    return greedy, score
