# Fault: holds the differences of 90 rows with all columns at once.
# Rejected by: test_memory_of_a_large_set

import numpy as np


def distances(x, y):
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError("shapes")
    rows = [
        np.sqrt(((x[i : i + 90, None].astype(np.float64) - y) ** 2).sum(axis=-1))
        for i in range(0, len(x), 90)
    ]
    return np.concatenate([*rows, np.zeros((0, len(y)))])
