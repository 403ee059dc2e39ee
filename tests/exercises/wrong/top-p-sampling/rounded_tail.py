# Fault: at p = 1 the rounded running sum reaches 1 early and the tail is cut.
# Rejected by: test_p_one_keeps_the_whole_tail

import numpy as np


def top_p(logits, p):
    if not 0.0 < p <= 1.0:
        raise ValueError("p must be in (0, 1]")
    probs = np.exp(logits.astype(np.float64) - logits.max())
    probs /= probs.sum()
    order = np.argsort(-probs, kind="stable")
    before = np.concatenate(([0.0], np.cumsum(probs[order])[:-1]))
    kept = order[before < p]
    out = np.zeros_like(probs)
    out[kept] = probs[kept] / probs[kept].sum()
    return out
