# Fault: adds up lengths in the type that they came in.
# Rejected by: test_many_tokens_before_a_passage

import numpy as np


def max_sims(question, tokens, lengths):
    counts = np.asarray(lengths)
    ends = np.cumsum(counts, dtype=counts.dtype)
    starts = ends - counts
    table = tokens.astype(np.float32) @ question.astype(np.float32).T
    scores = np.zeros(len(counts), dtype=np.float32)
    filled = counts > 0
    if filled.any():
        largest = np.maximum.reduceat(table, starts[filled], axis=0)
        scores[filled] = largest.sum(axis=1)
    return scores
