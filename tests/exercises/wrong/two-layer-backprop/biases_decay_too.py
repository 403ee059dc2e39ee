# Fault: decays the biases.
# Rejected by: test_decay_leaves_biases_alone

import numpy as np


def loss_and_gradients(
    x: np.ndarray,  # [N, D]
    labels: np.ndarray,  # [N], int; -1: no label
    weights: dict[str, np.ndarray],  # w1 [D, H], b1 [H], w2 [H, C], b2 [C]
    decay: float = 0.0,
) -> tuple[float, dict[str, np.ndarray]]:
    """Raises ValueError for a label that is neither a class nor -1."""
    w1, b1, w2, b2 = (weights[name] for name in ("w1", "b1", "w2", "b2"))
    if labels.size and (labels.min() < -1 or labels.max() >= len(b2)):
        raise ValueError(f"Expected labels from -1 to {len(b2) - 1}, got {labels.min()} to {labels.max()}.")
    pre = x @ w1 + b1
    hidden = np.maximum(pre, 0)
    logits = hidden @ w2 + b2
    logits = logits - logits.max(axis=1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    (rows,) = np.nonzero(labels >= 0)
    count = max(len(rows), 1)
    loss = -logs[rows, labels[rows]].sum() / count + decay / 2 * ((w1 * w1).sum() + (w2 * w2).sum())

    dlogits = np.zeros_like(logs)
    dlogits[rows] = np.exp(logs[rows])
    dlogits[rows, labels[rows]] -= 1
    dlogits = dlogits / count
    dpre = dlogits @ w2.T * (pre > 0)
    gradients = {
        "w1": x.T @ dpre + decay * w1,
        "b1": dpre.sum(axis=0) + decay * b1,
        "w2": hidden.T @ dlogits + decay * w2,
        "b2": dlogits.sum(axis=0) + decay * b2,
    }
    return float(loss), gradients
