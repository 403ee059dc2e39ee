# Fault: distances for products.
# Rejected by: test_vectors_as_they_are

import numpy as np


def max_sims(question, tokens, lengths):
    counts = np.array(lengths, dtype=np.int64)
    ends = np.cumsum(counts)
    starts = ends - counts
    apart = tokens.astype(np.float32)[:, None] - question.astype(np.float32)
    table = 1 - (apart**2).sum(axis=2) / 2
    scores = np.zeros(len(counts), dtype=np.float32)
    filled = counts > 0
    if filled.any():
        largest = np.maximum.reduceat(table, starts[filled], axis=0)
        scores[filled] = largest.sum(axis=1)
    return scores
