# Fault: stops when all drafts stay.
# Rejected by: test_drafts_of_an_equal_model_all_stay

import numpy as np


def draw(p, u):
    token = int(np.searchsorted(np.cumsum(p), u, side="right"))
    return min(token, int(np.flatnonzero(p)[-1]))


def verify(drafts, q, p, uniforms):
    for i, x in enumerate(drafts):
        if uniforms[i, 0] * q[i, x] >= p[i, x]:
            rest = np.maximum(p[i] - q[i], 0)
            rest = rest / rest.sum() if rest.sum() > 0 else p[i]
            return [*drafts[:i], draw(rest, uniforms[i, 1])]
    return list(drafts) or [draw(p[0], uniforms[0, 1])]
