# Fault: keeps a draft with probability p(x) instead of p(x)/q(x).
# Rejected by: test_as_many_stay_as_can

import numpy as np


def draw(p, u):
    token = int(np.searchsorted(np.cumsum(p), u, side="right"))
    return min(token, int(np.flatnonzero(p)[-1]))


def verify(drafts, q, p, uniforms):
    for i, x in enumerate(drafts):
        if uniforms[i, 0] >= p[i, x]:
            rest = np.maximum(p[i] - q[i], 0)
            rest = rest / rest.sum() if rest.sum() > 0 else p[i]
            return [*drafts[:i], draw(rest, uniforms[i, 1])]
    return [*drafts, draw(p[len(drafts)], uniforms[len(drafts), 1])]
