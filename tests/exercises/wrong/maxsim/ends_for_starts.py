# Fault: runs begin where they end.
# Rejected by: test_worked_example

import numpy as np


def max_sims(question, tokens, lengths):
    counts = np.array(lengths, dtype=np.int64)
    ends = np.cumsum(counts)
    ends - counts
    table = tokens.astype(np.float32) @ question.astype(np.float32).T
    scores = np.zeros(len(counts), dtype=np.float32)
    filled = counts > 0
    if filled.any():
        largest = np.maximum.reduceat(table, np.minimum(ends[filled], len(tokens) - 1), axis=0)
        scores[filled] = largest.sum(axis=1)
    return scores
