# Fault: the largest of no scores raises.
# Rejected by: test_blocks_without_keys

import numpy as np


def scale(largest):
    return np.where(np.isfinite(largest), largest, np.float32(0))


def partial(scores, values):
    scores, values = scores.astype(np.float32), values.astype(np.float32)
    if not scores.shape[1]:
        return np.float32(0), np.float32(0), np.zeros((1, values.shape[1]), np.float32)
    largest = scores.max(axis=1, keepdims=True)
    weights = np.exp(scores - scale(largest))
    return largest, weights.sum(axis=1, keepdims=True), weights @ values


def merge(a, b):
    largest = np.maximum(a[0], b[0])
    fa, fb = np.exp(a[0] - scale(largest)), np.exp(b[0] - scale(largest))
    return largest, fa * a[1] + fb * b[1], fa * a[2] + fb * b[2]


def finish(state):
    _, total, weighted = state
    return weighted / np.where(total > 0, total, np.float32(1))


def attend(blocks):
    state = partial(*next(blocks))
    for scores, values in blocks:
        state = merge(state, partial(scores, values))
    return finish(state)
