# Fault: treats labels as 0 to C - 1.
# Rejected by: test_labels_are_names

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
    table = np.zeros((len(theirs), min(int(labels.max()) + 1, 1 << 20)), dtype=np.int64)
    for row, mine in zip(table, theirs, strict=True):
        np.add.at(row, mine % len(row), 1)
    best = table.max(axis=1)
    pick = np.array(
        [
            next(x for x in mine if row[x % len(row)] == most)
            for row, mine, most in zip(table, theirs, best, strict=True)
        ]
    )
    return (pick % table.shape[1]).astype(labels.dtype)
