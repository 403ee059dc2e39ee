# Fault: takes the first token whose sum is at least u: u = 0 draws a token of probability 0.
# Rejected by: test_token_that_the_target_never_says

import numpy as np


def draw(p, u):
    token = int(np.searchsorted(np.cumsum(p), u, side="left"))
    return min(token, int(np.flatnonzero(p)[-1]))


def verify(drafts, q, p, uniforms):
    for i, x in enumerate(drafts):
        if uniforms[i, 0] * q[i, x] >= p[i, x]:
            rest = np.maximum(p[i] - q[i], 0)
            rest = rest / rest.sum() if rest.sum() > 0 else p[i]
            return [*drafts[:i], draw(rest, uniforms[i, 1])]
    return [*drafts, draw(p[len(drafts)], uniforms[len(drafts), 1])]
