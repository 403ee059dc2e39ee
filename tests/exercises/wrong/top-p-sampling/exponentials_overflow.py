# Fault: takes exp of the raw logits.
# Rejected by: test_large_logits_stay_finite

import numpy as np


def top_p(logits, p):
    if not 0.0 < p <= 1.0:
        raise ValueError("p must be in (0, 1]")
    with np.errstate(all="ignore"):
        probs = np.exp(logits.astype(np.float64))
        probs = probs / probs.sum()
        order = np.argsort(-probs, kind="stable")
        before = np.concatenate(([0.0], np.cumsum(probs[order])[:-1]))
        kept = order if p == 1.0 else order[before < p]
        out = np.zeros_like(probs)
        out[kept] = probs[kept]
        return out / out.sum()
