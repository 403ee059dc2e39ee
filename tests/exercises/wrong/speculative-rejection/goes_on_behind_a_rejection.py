# Fault: replaces the rejected draft and keeps what was guessed behind it.
# Rejected by: test_drafts_behind_a_rejection_are_dropped

import numpy as np


def draw(p, u):
    token = int(np.searchsorted(np.cumsum(p), u, side="right"))
    return min(token, int(np.flatnonzero(p)[-1]))


def verify(drafts, q, p, uniforms):
    out = []
    for i, x in enumerate(drafts):
        if uniforms[i, 0] * q[i, x] >= p[i, x]:
            rest = np.maximum(p[i] - q[i], 0)
            rest = rest / rest.sum() if rest.sum() > 0 else p[i]
            x = draw(rest, uniforms[i, 1])
        out.append(x)
    return [*out, draw(p[len(drafts)], uniforms[len(drafts), 1])]
