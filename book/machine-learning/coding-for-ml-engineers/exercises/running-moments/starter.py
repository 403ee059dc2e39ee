"""Mean, variance and covariance of a stream of rows, in one pass and mergeable."""

import numpy as np


class Moments:
    count: int
    mean: np.ndarray  # [D]

    def __init__(self, width: int) -> None:
        self.count, self.mean = 0, np.zeros(width)

    def update(self, batch: np.ndarray) -> None:  # [B, D]
        raise NotImplementedError("the batch's own moments, then merge")

    def merge(self, other: "Moments") -> None:
        raise NotImplementedError("counts, means, squares, and the difference of the means")

    def variance(self, ddof: int = 0) -> np.ndarray:  # [D]
        raise NotImplementedError("squares by count - ddof")

    def covariance(self, ddof: int = 0) -> np.ndarray:  # [D, D]
        raise NotImplementedError("co-moments by count - ddof")
