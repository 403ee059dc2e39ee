# Fault: computes in the type of the scores, whose sums end at 65,504.
# Rejected by: test_half_precision_of_many_keys

import numpy as np


def scale(largest):
    return np.where(np.isfinite(largest), largest, np.float32(0))


def partial(scores, values):
    np.seterr(all="ignore")
    largest = scores.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - scale(largest).astype(scores.dtype))
    return largest, weights.sum(axis=1, keepdims=True), weights @ values


def merge(a, b):
    largest = np.maximum(a[0], b[0])
    fa, fb = np.exp(a[0] - scale(largest)), np.exp(b[0] - scale(largest))
    return largest, fa * a[1] + fb * b[1], fa * a[2] + fb * b[2]


def finish(state):
    _, total, weighted = state
    return (weighted / np.where(total > 0, total, total.dtype.type(1))).astype(np.float32)


def attend(blocks):
    state = partial(*next(blocks))
    for scores, values in blocks:
        state = merge(state, partial(scores, values))
    return finish(state)
