"""Precision and recall at every threshold, average precision, and the best threshold."""

import numpy as np


def precision_recall(
    labels: np.ndarray,  # [N] 0 or 1
    scores: np.ndarray,  # [N]
    weights: np.ndarray | None = None,  # [N]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # precision, recall, thresholds: [different scores]
    raise NotImplementedError("sort, cumulative sums, one entry for each different score")


def average_precision(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    raise NotImplementedError("precision weighed by the recall that it adds")


def best_threshold(
    labels: np.ndarray, scores: np.ndarray, beta: float = 1.0, weights: np.ndarray | None = None
) -> tuple[float, float]:
    raise NotImplementedError("F-beta of every threshold, the highest")
