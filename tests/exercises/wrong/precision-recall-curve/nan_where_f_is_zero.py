# Fault: divides 0 by 0 where precision and recall are both 0.
# Rejected by: test_false_alarms_first

import numpy as np

CLOSE = 1e-12  # values of F-beta that differ by less are equal


def precision_recall(
    labels: np.ndarray,  # [N] 0 or 1
    scores: np.ndarray,  # [N]
    weights: np.ndarray | None = None,  # [N]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # precision, recall, thresholds: [different scores]
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(y) == len(s) == len(w):
        raise ValueError(f"Lengths differ: {len(y)} labels, {len(s)} scores, {len(w)} weights.")
    if not ((y == 0) | (y == 1)).all() or np.isnan(s).any() or (w < 0).any():
        raise ValueError("Expected labels 0 and 1, scores that are not NaN, weights of at least 0.")
    order = np.argsort(-s, kind="stable")
    y, s, w = y[order], s[order], w[order]
    if not w @ y > 0:
        raise ValueError("Expected positives with some weight.")
    last = np.append(s[1:] != s[:-1], True)  # the last row of each score
    hits, misses = np.cumsum(w * y)[last], np.cumsum(w * (1 - y))[last]
    called = hits + misses
    precision = np.where(called > 0, hits / np.where(called > 0, called, 1.0), 1.0)
    return precision, hits / hits[-1], s[last]


def average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    precision, recall, _ = precision_recall(labels, scores, weights)
    return float(np.diff(recall, prepend=0.0) @ precision)


def best_threshold(
    labels: np.ndarray, scores: np.ndarray, beta: float = 1.0, weights: np.ndarray | None = None
) -> tuple[float, float]:
    if not beta > 0:
        raise ValueError(f"Expected beta above 0, got {beta}.")
    precision, recall, thresholds = precision_recall(labels, scores, weights)
    below = beta**2 * precision + recall
    with np.errstate(invalid="ignore"):
        values = (1 + beta**2) * precision * recall / below
    at = int(values.argmax())
    return float(thresholds[at]), float(values[at])
