"""Cross-validation of a linear classifier. It runs, and five things in it have seen too much."""

import numpy as np


def best_threshold(
    scores: np.ndarray,  # [N]
    y: np.ndarray,  # [N], 0 or 1
) -> float:
    """The score above which (itself included) calling rows 1 is right most often; the smallest of equals."""
    candidates = np.unique(scores)
    right = [((scores >= candidate) == y).sum() for candidate in candidates]
    return float(candidates[int(np.argmax(right))])


def cross_validate(
    x: np.ndarray,  # [N, D], NaN: missing
    y: np.ndarray,  # [N], 0 or 1
    groups: np.ndarray,  # [N]
    folds: int = 5,
    keep: int = 5,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:  # scores [N] and predicted labels [N]
    rng = np.random.default_rng(seed)
    fold_of = np.empty(len(x), dtype=int)
    fold_of[rng.permutation(len(x))] = np.arange(len(x)) % folds

    z = np.where(np.isnan(x), np.nanmean(x, axis=0), x)
    spread = z.std(axis=0)
    z = (z - z.mean(axis=0)) / np.where(spread > 0, spread, 1)
    columns = np.argsort(-np.abs(z.T @ (y - y.mean())), kind="stable")[:keep]

    scores, predicted = np.zeros(len(x)), np.zeros(len(x), dtype=int)
    for fold in range(folds):
        held, train = fold_of == fold, fold_of != fold
        part, mean = z[train][:, columns], y[train].mean()
        weights = np.linalg.solve(part.T @ part + np.eye(part.shape[1]), part.T @ (y[train] - mean))
        scores[held] = mean + z[held][:, columns] @ weights
        predicted[held] = scores[held] >= best_threshold(scores[held], y[held])
    return scores, predicted
