"""Mean, variance and covariance of a stream of rows, in one pass and mergeable (Chan et al. 1983)."""

import numpy as np


class Moments:
    """Count, mean [D] and sums of products of deviations [D, D]: nothing large is ever subtracted."""

    def __init__(self, width: int) -> None:
        """Raises ValueError when width is below 1."""
        if width < 1:
            raise ValueError(f"Expected a width of at least 1, got {width}.")
        self.width, self.count = width, 0
        self._mean, self._products = np.zeros(width), np.zeros((width, width))

    @property
    def mean(self) -> np.ndarray:  # [D]
        return self._mean.copy()

    def _add(self, count: int, mean: np.ndarray, products: np.ndarray) -> None:
        """Another part's moments."""
        if not count:
            return
        total, delta = self.count + count, mean - self._mean
        self._products = self._products + products + np.outer(delta, delta) * (self.count * count / total)
        self._mean = self._mean + delta * (count / total)
        self.count = total

    def update(self, batch: np.ndarray) -> None:  # [B, D]
        """O(B D^2). Raises ValueError for another width and values that are not finite."""
        rows = np.asarray(batch, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.width or not np.isfinite(rows).all():
            raise ValueError(f"Expected finite rows [B, {self.width}], got shape {rows.shape}.")
        if len(rows):
            mean = rows.mean(axis=0)
            self._add(len(rows), mean, (rows - mean).T @ (rows - mean))

    def merge(self, other: "Moments") -> None:
        """O(D^2). Raises ValueError for another width."""
        if other.width != self.width:
            raise ValueError(f"Expected a width of {self.width}, got {other.width}.")
        self._add(other.count, other._mean, other._products)

    def covariance(self, ddof: int = 0) -> np.ndarray:  # [D, D]
        """Raises ValueError unless more than ddof rows were seen."""
        if self.count <= ddof:
            raise ValueError(f"Expected more than {ddof} rows, got {self.count}.")
        return self._products / (self.count - ddof)

    def variance(self, ddof: int = 0) -> np.ndarray:  # [D]
        """Raises ValueError unless more than ddof rows were seen."""
        return np.diagonal(self.covariance(ddof)).copy()
