# Fault: keeps tokens while the running sum is at most p, so the token that crosses p is lost.
# Rejected by: test_worked_example

import numpy as np


def top_p(logits, p):
    if not 0.0 < p <= 1.0:
        raise ValueError("p must be in (0, 1]")
    probs = np.exp(logits.astype(np.float64) - logits.max())
    probs /= probs.sum()
    order = np.argsort(-probs, kind="stable")
    count = max(1, int((np.cumsum(probs[order]) <= p).sum()))
    out = np.zeros_like(probs)
    out[order[:count]] = probs[order[:count]]
    return out / out.sum()
