# Fault: deals shuffled rows without looking at their classes.
# Rejected by: test_classes_are_even

import numpy as np

CLOSE = 1e-12  # costs that differ by less are equal


def _dealt(classes: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:  # [N] -> [N]
    shuffled = rng.permutation(len(classes))
    line = shuffled
    folds = np.empty(len(classes), dtype=np.int64)
    folds[line] = np.arange(len(classes)) % k
    return folds


def _grouped(counts: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:  # [G, C] -> [G]
    sizes, totals = counts.sum(axis=1), counts.sum(axis=0)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, folds = np.zeros((k, counts.shape[1])), np.zeros(len(counts), dtype=np.int64)
    for group in order:
        added = (((filled + counts[group]) / totals) ** 2 - (filled / totals) ** 2).sum(axis=1)
        best = np.flatnonzero(added < added.min() + CLOSE)
        fold = best[filled[best].sum(axis=1).argmin()]
        filled[fold] += counts[group]
        folds[group] = fold
    return folds


def stratified_folds(
    labels: np.ndarray,  # [N]
    k: int,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,  # [N]
) -> np.ndarray:  # [N] int64, 0 to k - 1
    if not 2 <= k <= len(labels):
        raise ValueError(f"Expected 2 to {len(labels)} folds, got {k}.")
    classes = np.unique(labels, return_inverse=True)[1]
    if groups is None:
        return _dealt(classes, k, rng)
    if len(groups) != len(labels):
        raise ValueError(f"Expected as many groups as labels, got {len(groups)} for {len(labels)}.")
    members = np.unique(groups, return_inverse=True)[1]
    counts = np.zeros((members.max() + 1, classes.max() + 1))
    if k > len(counts):
        raise ValueError(f"Expected at most {len(counts)} folds, one for each group, got {k}.")
    np.add.at(counts, (members, classes), 1)
    return _grouped(counts, k, rng)[members]
