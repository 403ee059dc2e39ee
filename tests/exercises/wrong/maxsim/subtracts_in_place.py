# Fault: turns the caller's lengths into starts.
# Rejected by: test_arguments_stay_as_they_were

import numpy as np


def max_sims(question, tokens, lengths):
    counts = np.asarray(lengths, dtype=np.int64)
    ends = np.cumsum(counts)
    starts = ends - counts
    filled = counts > 0
    counts -= 1
    table = tokens.astype(np.float32) @ question.astype(np.float32).T
    scores = np.zeros(len(counts), dtype=np.float32)
    if filled.any():
        largest = np.maximum.reduceat(table, starts[filled], axis=0)
        scores[filled] = largest.sum(axis=1)
    return scores
