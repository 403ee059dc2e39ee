# Fault: the number that rejected the draft, which is therefore large, draws the token as well.
# Rejected by: test_first_token_is_distributed_as_the_target_says

import numpy as np


def draw(p, u):
    token = int(np.searchsorted(np.cumsum(p), u, side="right"))
    return min(token, int(np.flatnonzero(p)[-1]))


def verify(drafts, q, p, uniforms):
    for i, x in enumerate(drafts):
        if uniforms[i, 0] * q[i, x] >= p[i, x]:
            rest = np.maximum(p[i] - q[i], 0)
            rest = rest / rest.sum() if rest.sum() > 0 else p[i]
            return [*drafts[:i], draw(rest, uniforms[i, 0])]
    return [*drafts, draw(p[len(drafts)], uniforms[len(drafts), 1])]
