# Fault: expands the square, which loses the digits far from the origin.
# Rejected by: test_far_from_the_origin

import numpy as np


def _squares(queries: np.ndarray, train: np.ndarray) -> np.ndarray:  # [Q, N]
    return (queries**2).sum(axis=1)[:, None] - 2 * queries @ train.T + (train**2).sum(axis=1)


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
    votes = (theirs[:, :, None] == theirs[:, None, :]).sum(axis=2)  # votes for the class of each neighbour
    return theirs[np.arange(len(theirs)), votes.argmax(axis=1)]  # the first, so the nearest, of the best
