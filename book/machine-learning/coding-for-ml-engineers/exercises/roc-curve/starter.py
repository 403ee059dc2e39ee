"""ROC curve and the area under it, with ties and weights."""

import numpy as np


def roc_curve(
    labels: np.ndarray,  # [N] 0 or 1
    scores: np.ndarray,  # [N]
    weights: np.ndarray | None = None,  # [N]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fpr, tpr, thresholds, each [different scores + 1]
    raise NotImplementedError("sort, cumulative sums, one point for each different score")


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    raise NotImplementedError("trapezoids")
