"""Folds of cross-validation in which every class is spread evenly, groups kept together."""

import numpy as np


def stratified_folds(
    labels: np.ndarray,  # [N]
    k: int,
    rng: np.random.Generator,
    groups: np.ndarray | None = None,  # [N]
) -> np.ndarray:  # [N] int64, 0 to k - 1
    raise NotImplementedError("deal the rows of each class; with groups, the largest first")
