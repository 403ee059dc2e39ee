"""k-means: k-means++ seeding and Lloyd's iterations."""

import numpy as np


def seed(
    points: np.ndarray,  # [N, D]
    k: int,
    rng: np.random.Generator,
) -> np.ndarray:  # [k, D] float64
    raise NotImplementedError("draw by squared distance")


def kmeans(
    points: np.ndarray,  # [N, D]
    centres: np.ndarray,  # [k, D]
    steps: int,
) -> tuple[np.ndarray, np.ndarray, list[float]]:  # [k, D] float64, [N] int64, inertia of each step
    raise NotImplementedError("assign, record, stop or move")
