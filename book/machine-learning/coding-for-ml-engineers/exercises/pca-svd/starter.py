"""Principal component analysis by singular values."""

import numpy as np


class PCA:
    mean: np.ndarray  # [D]
    axes: np.ndarray  # [k, D]
    variance: np.ndarray  # [k]
    ratio: np.ndarray  # [k]

    def __init__(self, k: int, whiten: bool = False) -> None:
        self.k, self.whiten = k, whiten

    def fit(self, x: np.ndarray) -> "PCA":  # x: [N, D]
        raise NotImplementedError("centre, decompose, fix signs")

    def transform(self, x: np.ndarray) -> np.ndarray:  # [N, D] -> [N, k]
        raise NotImplementedError("coordinates along the axes")

    def inverse_transform(self, z: np.ndarray) -> np.ndarray:  # [N, k] -> [N, D]
        raise NotImplementedError("back to the columns")
