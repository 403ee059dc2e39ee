# Fault: leaves ignored positions out of the loss but not out of the gradient.
# Rejected by: test_worked_example

import numpy as np


def cross_entropy(
    logits: np.ndarray,  # [N, V]
    targets: np.ndarray,  # [N]
    smoothing: float = 0.0,
    ignore: int = -100,
) -> tuple[float, np.ndarray]:  # loss, gradient [N, V] float64
    if len(logits) != len(targets):
        raise ValueError(f"Expected as many targets as rows, got {len(targets)} for {len(logits)}.")
    if not 0.0 <= smoothing < 1.0:
        raise ValueError(f"Expected a smoothing in 0 to 1, got {smoothing}.")
    width = logits.shape[1]
    counted = targets != ignore  # [N]
    used = np.where(counted, targets, 0)
    if ((used < 0) | (used >= width)).any():
        raise ValueError(f"Expected targets in 0 to {width - 1}, or {ignore}.")
    x = logits.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    log_probs = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    rows, share = np.arange(len(x)), 1.0 - smoothing
    losses = -share * log_probs[rows, used] - smoothing * log_probs.mean(axis=1)
    weights = counted / max(1, counted.sum())  # [N], add up to 1
    gradient = np.exp(log_probs) - smoothing / width
    gradient[rows, used] -= share
    return float(losses @ weights), gradient / max(1, counted.sum())
