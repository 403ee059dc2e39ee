# Fault: takes one half for the threshold, which leaks nothing and is not what was asked for.
# Rejected by: test_definition_for_many_settings

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
    """Every number that is learned comes from the training part of its fold."""
    rng = np.random.default_rng(seed)
    names, group_of = np.unique(groups, return_inverse=True)
    place = np.empty(len(names), dtype=int)
    place[rng.permutation(len(names))] = np.arange(len(names))
    fold_of = place[group_of] % folds

    scores, predicted = np.zeros(len(x)), np.zeros(len(x), dtype=int)
    for fold in range(folds):
        held, train = fold_of == fold, fold_of != fold
        z = np.where(np.isnan(x), np.nanmean(x[train], axis=0), x)
        spread = z[train].std(axis=0)
        z = (z - z[train].mean(axis=0)) / np.where(spread > 0, spread, 1)
        mean = y[train].mean()
        columns = np.argsort(-np.abs(z[train].T @ (y[train] - mean)), kind="stable")[:keep]
        part = z[train][:, columns]
        weights = np.linalg.solve(part.T @ part + np.eye(part.shape[1]), part.T @ (y[train] - mean))
        every = mean + z[:, columns] @ weights
        scores[held] = every[held]
        predicted[held] = every[held] >= 0.5
    return scores, predicted
