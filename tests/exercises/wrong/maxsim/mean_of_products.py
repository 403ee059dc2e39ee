# Fault: the mean over the passage's tokens.
# Rejected by: test_one_passage

import numpy as np


def max_sims(question, tokens, lengths):
    counts = np.array(lengths, dtype=np.int64)
    ends = np.cumsum(counts)
    starts = ends - counts
    table = tokens.astype(np.float32) @ question.astype(np.float32).T
    scores = np.zeros(len(counts), dtype=np.float32)
    filled = counts > 0
    if filled.any():
        largest = np.add.reduceat(table, starts[filled], axis=0) / counts[filled][:, None]
        scores[filled] = largest.sum(axis=1)
    return scores
