# Fault: the probabilities that stay are not scaled up to a sum of 1.
# Rejected by: test_sums_to_one

import numpy as np


def top_p(logits, p):
    if not 0.0 < p <= 1.0:
        raise ValueError("p must be in (0, 1]")
    probs = np.exp(logits.astype(np.float64) - logits.max())
    probs /= probs.sum()
    order = np.argsort(-probs, kind="stable")
    before = np.concatenate(([0.0], np.cumsum(probs[order])[:-1]))
    kept = order if p == 1.0 else order[before < p]
    out = np.zeros_like(probs)
    out[kept] = probs[kept]
    return out
