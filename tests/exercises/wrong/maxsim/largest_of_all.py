# Fault: the largest of all products, not one for each token of the question.
# Rejected by: test_each_token_of_the_question_counts

import numpy as np


def max_sims(question, tokens, lengths):
    counts = np.array(lengths, dtype=np.int64)
    ends = np.cumsum(counts)
    starts = ends - counts
    table = tokens.astype(np.float32) @ question.astype(np.float32).T
    scores = np.zeros(len(counts), dtype=np.float32)
    filled = counts > 0
    if filled.any():
        largest = np.maximum.reduceat(table, starts[filled], axis=0)
        scores[filled] = largest.max(axis=1, initial=-np.inf)
    return scores
