# Fault: products in float16.
# Rejected by: test_half_precision_is_for_keeping

import numpy as np


def max_sims(question, tokens, lengths):
    counts = np.array(lengths, dtype=np.int64)
    ends = np.cumsum(counts)
    starts = ends - counts
    with np.errstate(over="ignore"):
        table = tokens @ question.T
    scores = np.zeros(len(counts), dtype=np.float32)
    filled = counts > 0
    if filled.any():
        largest = np.maximum.reduceat(table, starts[filled], axis=0)
        scores[filled] = largest.sum(axis=1)
    return scores
