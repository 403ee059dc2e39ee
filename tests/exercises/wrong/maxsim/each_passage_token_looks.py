# Fault: each token of the passage looks for its nearest in the question.
# Rejected by: test_many_tokens_do_not_add_up

import numpy as np


def max_sims(question, tokens, lengths):
    counts = np.array(lengths, dtype=np.int64)
    ends = np.cumsum(counts)
    starts = ends - counts
    table = tokens.astype(np.float32) @ question.astype(np.float32).T
    scores = np.zeros(len(counts), dtype=np.float32)
    filled = counts > 0
    if filled.any():
        scores[filled] = np.add.reduceat(table.max(axis=1), starts[filled])
    return scores
