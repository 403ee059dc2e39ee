# Fault: returns the probabilities from large to small instead of in the order of the vocabulary.
# Rejected by: test_order_of_the_vocabulary_is_kept

import numpy as np


def top_p(logits, p):
    if not 0.0 < p <= 1.0:
        raise ValueError("p must be in (0, 1]")
    probs = np.exp(logits.astype(np.float64) - logits.max())
    probs /= probs.sum()
    ranked = -np.sort(-probs)
    before = np.concatenate(([0.0], np.cumsum(ranked)[:-1]))
    out = np.where((before < p) | (p == 1.0), ranked, 0.0)
    return out / out.sum()
