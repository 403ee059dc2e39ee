# Fault: decomposes the data without taking the mean off.
# Rejected by: test_worked_example

import numpy as np

EQUAL = 1 - 1e-9  # entries of an axis from this share of the largest on count as the largest
FLAT = 1e-20  # variance below this share of the largest is none


class PCA:
    mean: np.ndarray  # [D]
    axes: np.ndarray  # [k, D]
    variance: np.ndarray  # [k]
    ratio: np.ndarray  # [k]

    def __init__(self, k: int, whiten: bool = False) -> None:
        self.k, self.whiten = k, whiten
        self.scale: np.ndarray | None = None  # [k], deviation along each axis; None before fit

    def fit(self, x: np.ndarray) -> "PCA":  # x: [N, D]
        if x.ndim != 2 or len(x) < 2 or not 1 <= self.k <= min(x.shape):
            raise ValueError(f"Expected [N, D] with N >= 2 and 1 <= k <= min(N, D), got {x.shape}, {self.k}.")
        x = x.astype(np.float64)
        self.mean = x.mean(axis=0)
        singular, axes = np.linalg.svd(x, full_matrices=False)[1:]
        sizes = np.abs(axes)
        first = (sizes >= EQUAL * sizes.max(axis=1, keepdims=True)).argmax(axis=1)
        axes *= np.sign(axes[np.arange(len(axes)), first])[:, None]
        variance = singular**2 / (len(x) - 1)
        total = variance.sum()
        self.axes, self.variance = axes[: self.k], variance[: self.k]
        self.ratio = self.variance / total if total > 0 else np.zeros(self.k)
        flat = self.variance <= FLAT * variance[0]
        self.scale = np.where(flat, np.inf, np.sqrt(self.variance)) if self.whiten else np.ones(self.k)
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:  # [N, D] -> [N, k]
        if self.scale is None:
            raise RuntimeError("Call fit first.")
        return (x - self.mean) @ self.axes.T / self.scale

    def inverse_transform(self, z: np.ndarray) -> np.ndarray:  # [N, k] -> [N, D]
        if self.scale is None:
            raise RuntimeError("Call fit first.")
        return z * np.where(np.isinf(self.scale), 0.0, self.scale) @ self.axes + self.mean
