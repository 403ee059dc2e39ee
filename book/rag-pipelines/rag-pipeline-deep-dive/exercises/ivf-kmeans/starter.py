"""Vectors in cells around learned centres."""

import numpy as np


def kmeans(
    vectors: np.ndarray,  # [N, D], float32
    centres: np.ndarray,  # [K, D], float32, where it starts
    rounds: int,
) -> tuple[np.ndarray, np.ndarray]:  # [K, D], float32, and [N], int64
    raise NotImplementedError("assign, move, again")


class IVF:
    def __init__(self, vectors: np.ndarray, centres: np.ndarray) -> None:
        self.vectors, self.centres = vectors, centres

    def search(self, query: np.ndarray, k: int, probes: int) -> tuple[list[int], int]:  # ids, compared
        raise NotImplementedError("the nearest of the nearest cells")
