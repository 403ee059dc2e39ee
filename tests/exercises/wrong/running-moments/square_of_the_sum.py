# Fault: keeps sums and sums of squares, which cancel at a large mean.
# Rejected by: test_large_mean

import numpy as np


class Moments:
    def __init__(self, width):
        if width < 1:
            raise ValueError("width")
        self.width, self.count = width, 0
        self.sums, self.squares = np.zeros(width), np.zeros((width, width))

    @property
    def mean(self):
        return self.sums / max(1, self.count)

    def update(self, batch):
        rows = np.asarray(batch, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.width or not np.isfinite(rows).all():
            raise ValueError("batch")
        self.count += len(rows)
        self.sums = self.sums + rows.sum(axis=0)
        self.squares = self.squares + rows.T @ rows

    def merge(self, other):
        if other.width != self.width:
            raise ValueError("width")
        self.count += other.count
        self.sums = self.sums + other.sums
        self.squares = self.squares + other.squares

    def covariance(self, ddof=0):
        if self.count <= ddof:
            raise ValueError("rows")
        return (self.squares - np.outer(self.sums, self.mean)) / (self.count - ddof)

    def variance(self, ddof=0):
        return np.diagonal(self.covariance(ddof)).copy()
