# Fault: counts by class, so a tie goes to the smaller label.
# Rejected by: test_equal_votes_go_to_the_nearest

import numpy as np


def _squares(queries: np.ndarray, train: np.ndarray) -> np.ndarray:  # [Q, N]
    return np.array([((train - query) ** 2).sum(axis=1) for query in queries])


def knn_predict(
    train: np.ndarray,  # [N, D]
    labels: np.ndarray,  # [N] integers
    queries: np.ndarray,  # [Q, D]
    k: int,
) -> np.ndarray:  # [Q], of the type of labels
    if len(train) != len(labels):
        raise ValueError(f"Expected as many labels as rows, got {len(labels)} for {len(train)}.")
    if not 1 <= k <= len(train):
        raise ValueError(f"Expected k in 1 to {len(train)}, got {k}.")
    if not len(queries):
        return labels[:0].copy()
    squares = _squares(queries, train.astype(np.float64))
    nearest = np.argsort(squares, kind="stable")[:, :k]  # [Q, k]
    theirs = labels[nearest]  # nearest first
    classes = np.unique(labels)
    votes = (theirs[:, :, None] == classes).sum(axis=1)
    return classes[votes.argmax(axis=1)]
