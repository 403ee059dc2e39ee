# Fault: sums with a fancy index, which counts one point a label.
# Rejected by: test_worked_example

import numpy as np


def _squares(points: np.ndarray, centres: np.ndarray) -> np.ndarray:  # [N, k]
    return np.stack([((points - centre) ** 2).sum(axis=1) for centre in centres], axis=1)


def seed(
    points: np.ndarray,  # [N, D]
    k: int,
    rng: np.random.Generator,
) -> np.ndarray:  # [k, D] float64
    if not 1 <= k <= len(points):
        raise ValueError(f"Expected k in 1 to {len(points)}, got {k}.")
    points = points.astype(np.float64)
    chosen = [points[rng.choice(len(points))]]
    nearest = _squares(points, chosen)[:, 0]
    while len(chosen) < k:
        total = nearest.sum()
        index = rng.choice(len(points), p=nearest / total if total > 0 else None)
        chosen.append(points[index])
        nearest = np.minimum(nearest, ((points - points[index]) ** 2).sum(axis=1))
    return np.array(chosen)


def _means(points: np.ndarray, labels: np.ndarray, own: np.ndarray, k: int) -> np.ndarray:  # [k, D]
    counts = np.bincount(labels, minlength=k)
    sums = np.zeros((k, points.shape[1]))
    sums[labels] += points
    centres, left = sums / np.maximum(counts, 1)[:, None], own.copy()
    for empty in np.flatnonzero(counts == 0):
        farthest = left.argmax()
        centres[empty], left[farthest] = points[farthest], -1.0
    return centres


def kmeans(
    points: np.ndarray,  # [N, D]
    centres: np.ndarray,  # [k, D]
    steps: int,
) -> tuple[np.ndarray, np.ndarray, list[float]]:  # [k, D] float64, [N] int64, inertia of each step
    if not 1 <= len(centres) <= len(points):
        raise ValueError(f"Expected 1 to {len(points)} centres, got {len(centres)}.")
    if steps < 1:
        raise ValueError(f"Expected at least one step, got {steps}.")
    points, centres = points.astype(np.float64), centres.astype(np.float64)
    labels, history = np.full(len(points), -1), []
    for _ in range(steps):
        squares = _squares(points, centres)
        before, labels = labels, squares.argmin(axis=1)
        own = squares.min(axis=1)
        history.append(float(own.sum()))
        if np.array_equal(labels, before):
            break
        centres = _means(points, labels, own, len(centres))
    return centres, labels, history
