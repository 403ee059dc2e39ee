"""k nearest neighbours: a vote among the nearest labelled rows."""

import numpy as np


def knn_predict(
    train: np.ndarray,  # [N, D]
    labels: np.ndarray,  # [N] integers
    queries: np.ndarray,  # [Q, D]
    k: int,
) -> np.ndarray:  # [Q], of the type of labels
    raise NotImplementedError("distances, the k nearest, votes, ties")
