# Fault: cuts by a threshold on the probability, so all tokens that tie at the edge stay.
# Rejected by: test_tie_at_the_edge_goes_to_the_smaller_index

import numpy as np


def top_p(logits, p):
    if not 0.0 < p <= 1.0:
        raise ValueError("p must be in (0, 1]")
    probs = np.exp(logits.astype(np.float64) - logits.max())
    probs /= probs.sum()
    ranked = -np.sort(-probs)
    before = np.concatenate(([0.0], np.cumsum(ranked)[:-1]))
    threshold = 0.0 if p == 1.0 else ranked[before < p].min()
    out = np.where(probs >= threshold, probs, 0.0)
    return out / out.sum()
