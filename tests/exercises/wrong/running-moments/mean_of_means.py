# Fault: averages the means without their counts.
# Rejected by: test_worked_example

import numpy as np


class Moments:
    def __init__(self, width: int) -> None:
        if width < 1:
            raise ValueError(f"Expected a width of at least 1, got {width}.")
        self.width, self.count = width, 0
        self._mean, self._products = np.zeros(width), np.zeros((width, width))

    @property
    def mean(self) -> np.ndarray:  # [D]
        return self._mean.copy()

    def _add(self, count: int, mean: np.ndarray, products: np.ndarray) -> None:
        if not count:
            return
        total, delta = self.count + count, mean - self._mean
        self._products = self._products + products + np.outer(delta, delta) * (self.count * count / total)
        self._mean = self._mean + delta * (0.5 if self.count else 1.0)
        self.count = total

    def update(self, batch: np.ndarray) -> None:  # [B, D]
        rows = np.asarray(batch, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.width or not np.isfinite(rows).all():
            raise ValueError(f"Expected finite rows [B, {self.width}], got shape {rows.shape}.")
        if len(rows):
            mean = rows.mean(axis=0)
            self._add(len(rows), mean, (rows - mean).T @ (rows - mean))

    def merge(self, other: "Moments") -> None:
        if other.width != self.width:
            raise ValueError(f"Expected a width of {self.width}, got {other.width}.")
        self._add(other.count, other._mean, other._products)

    def covariance(self, ddof: int = 0) -> np.ndarray:  # [D, D]
        if self.count <= ddof:
            raise ValueError(f"Expected more than {ddof} rows, got {self.count}.")
        return self._products / (self.count - ddof)

    def variance(self, ddof: int = 0) -> np.ndarray:  # [D]
        return np.diagonal(self.covariance(ddof)).copy()
