# Fault: works out starts with the methods of an array.
# Rejected by: test_lengths_of_any_kind

import numpy as np


def max_sims(question, tokens, lengths):
    counts = lengths.astype(np.int64)
    ends = np.cumsum(counts)
    starts = ends - counts
    table = tokens.astype(np.float32) @ question.astype(np.float32).T
    scores = np.zeros(len(counts), dtype=np.float32)
    filled = counts > 0
    if filled.any():
        largest = np.maximum.reduceat(table, starts[filled], axis=0)
        scores[filled] = largest.sum(axis=1)
    return scores
