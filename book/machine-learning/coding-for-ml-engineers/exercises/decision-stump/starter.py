"""The best split of one feature by weighted Gini impurity."""

import numpy as np


def fit_stump(
    x: np.ndarray,  # [N, D]
    y: np.ndarray,  # [N] classes from 0
    weights: np.ndarray | None = None,  # [N]
) -> tuple[int, float, float, int, int]:  # feature, threshold, impurity, left class, right class
    raise NotImplementedError("sort each feature, cumulative class weights, impurities, smallest")
