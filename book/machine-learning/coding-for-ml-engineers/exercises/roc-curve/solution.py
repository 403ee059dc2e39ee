"""ROC curve and the area under it, with ties and weights (Fawcett 2006, sec. 4 to 7)."""

import numpy as np


def roc_curve(
    labels: np.ndarray,  # [N] 0 or 1
    scores: np.ndarray,  # [N]
    weights: np.ndarray | None = None,  # [N]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fpr, tpr, thresholds, each [different scores + 1]
    """Time O(N log N). Raises ValueError for bad arguments, and for a class without weight."""
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(y) == len(s) == len(w):
        raise ValueError(f"Lengths differ: {len(y)} labels, {len(s)} scores, {len(w)} weights.")
    if not ((y == 0) | (y == 1)).all() or np.isnan(s).any() or (w < 0).any():
        raise ValueError("Expected labels 0 and 1, scores that are not NaN, weights of at least 0.")
    order = np.argsort(-s, kind="stable")
    y, s, w = y[order], s[order], w[order]
    if not (w @ y > 0 and w @ (1 - y) > 0):
        raise ValueError("Expected positives and negatives with some weight.")
    last = np.append(s[1:] != s[:-1], True)  # the last row of each score
    tp, fp = np.cumsum(w * y)[last], np.cumsum(w * (1 - y))[last]
    rates = [np.concatenate(([0.0], count / count[-1])) for count in (fp, tp)]
    return rates[0], rates[1], np.concatenate(([np.inf], s[last]))


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Raises ValueError as the curve does."""
    fpr, tpr, _ = roc_curve(labels, scores, weights)
    return float((np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2).sum())
