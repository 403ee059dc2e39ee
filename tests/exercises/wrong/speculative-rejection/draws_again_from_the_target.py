# Fault: a rejected place draws from p: what the draft says too often is said too often still.
# Rejected by: test_first_token_is_distributed_as_the_target_says

import numpy as np


def draw(p, u):
    token = int(np.searchsorted(np.cumsum(p), u, side="right"))
    return min(token, int(np.flatnonzero(p)[-1]))


def verify(drafts, q, p, uniforms):
    for i, x in enumerate(drafts):
        if uniforms[i, 0] * q[i, x] >= p[i, x]:
            return [*drafts[:i], draw(p[i], uniforms[i, 1])]
    return [*drafts, draw(p[len(drafts)], uniforms[len(drafts), 1])]
