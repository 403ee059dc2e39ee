# Fault: keeps a copy of every block until the end.
# Rejected by: test_memory_does_not_grow_with_the_blocks

import numpy as np


def scale(largest):
    return np.where(np.isfinite(largest), largest, np.float32(0))


def partial(scores, values):
    scores, values = scores.astype(np.float32), values.astype(np.float32)
    largest = scores.max(axis=1, keepdims=True, initial=-np.inf)
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
    kept = [(scores.copy(), values.copy()) for scores, values in blocks]
    scores = np.concatenate([scores for scores, _ in kept], axis=1)
    return finish(partial(scores, np.concatenate([values for _, values in kept])))
