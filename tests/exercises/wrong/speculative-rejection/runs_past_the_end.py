# Fault: where the rounded sum ends below u it returns the last token of the vocabulary, or one behind it.
# Rejected by: test_rounded_sum_that_ends_below_one

import numpy as np


def draw(p, u):
    token = int(np.searchsorted(np.cumsum(p), u, side="right"))
    return min(token, len(p) - 1)


def verify(drafts, q, p, uniforms):
    for i, x in enumerate(drafts):
        if uniforms[i, 0] * q[i, x] >= p[i, x]:
            rest = np.maximum(p[i] - q[i], 0)
            rest = rest / rest.sum() if rest.sum() > 0 else p[i]
            return [*drafts[:i], draw(rest, uniforms[i, 1])]
    return [*drafts, draw(p[len(drafts)], uniforms[len(drafts), 1])]
