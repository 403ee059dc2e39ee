# Fault: right, and fills every passage up to the longest.
# Rejected by: test_nothing_is_filled_up

import numpy as np


def max_sims(question, tokens, lengths):
    counts = np.array(lengths, dtype=np.int64)
    scores = np.zeros(len(counts), dtype=np.float32)
    if not counts.any() or not len(question):
        return scores
    inside = np.arange(counts.max()) < counts[:, None]
    padded = np.zeros((*inside.shape, tokens.shape[1]), dtype=np.float32)
    padded[inside] = tokens
    table = padded @ question.astype(np.float32).T
    table[~inside] = -np.inf
    largest = table.max(axis=1)
    return np.where(counts > 0, largest.sum(axis=1), 0).astype(np.float32)
