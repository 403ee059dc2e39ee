# Fault: p = q but for rounding: 0 divided by 0.
# Rejected by: test_nothing_left_over

import numpy as np


def draw(p, u):
    token = int(np.searchsorted(np.cumsum(p), u, side="right"))
    last = np.flatnonzero(np.nan_to_num(p))
    return min(token, int(last[-1]) if len(last) else len(p) - 1)


def verify(drafts, q, p, uniforms):
    for i, x in enumerate(drafts):
        if uniforms[i, 0] * q[i, x] >= p[i, x]:
            rest = np.maximum(p[i] - q[i], 0)
            with np.errstate(all="ignore"):
                rest = rest / rest.sum()
            return [*drafts[:i], draw(rest, uniforms[i, 1])]
    return [*drafts, draw(p[len(drafts)], uniforms[len(drafts), 1])]
