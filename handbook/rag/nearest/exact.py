"""Exact search: the distance to every vector, and the k smallest. The oracle of the other indexes.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]

_BLOCK = 1 << 22  # distances held at once


class Neighbours(NamedTuple):
    """What a search found. compared: full vectors that the query was compared with, the work that an index
    is there to save."""

    ids: Ids  # [k], nearest first
    distances: Vectors  # [k], squared
    compared: int


def squared_distances(query: Vectors, vectors: Vectors) -> Vectors:  # [D], [N, D] -> [N]
    """|x - q|² for each vector x, as it is defined."""
    difference = vectors - query
    found: Vectors = np.einsum("nd,nd->n", difference, difference)
    return found


def pairwise(queries: Vectors, vectors: Vectors) -> Vectors:  # [Q, D], [N, D] -> [Q, N]
    """The same for many queries at once, as |x|² - 2 x·q + |q|²: nearly all of it is one matrix product.

    Near zero this is less exact than `squared_distances`, because two large numbers cancel.
    """
    own = np.einsum("nd,nd->n", vectors, vectors)
    asked = np.einsum("qd,qd->q", queries, queries)
    found: Vectors = asked[:, None] - 2.0 * (queries @ vectors.T) + own
    return np.maximum(found, 0.0, out=found)


def smallest(distances: Vectors, k: int) -> Ids:
    """Places of the k smallest values (or all, where there are fewer), smallest first; equal values in the
    order of their places.

    Sorts only what `argpartition` has kept, so it takes time in proportion to N.
    """
    k = min(k, len(distances))
    if k == 0:
        return np.empty(0, np.int64)
    kept = np.sort(np.argpartition(distances, k - 1)[:k])
    return kept[np.argsort(distances[kept], kind="stable")].astype(np.int64)


def search(query: Vectors, vectors: Vectors, k: int) -> Neighbours:  # [D], [N, D]
    """The k nearest of all vectors."""
    distances = squared_distances(query, vectors)
    ids = smallest(distances, k)
    return Neighbours(ids, distances[ids], len(vectors))


def search_many(queries: Vectors, vectors: Vectors, k: int) -> Ids:  # [Q, D], [N, D] -> [Q, k]
    """Ids that `search` would find for each query; a block of queries at a time, so memory stays bounded."""
    k = min(k, len(vectors))
    found = np.empty((len(queries), k), np.int64)
    step = max(1, _BLOCK // max(1, len(vectors)))
    for start in range(0, len(queries), step):
        distances = pairwise(queries[start : start + step], vectors)
        for row, one in enumerate(distances, start=start):
            found[row] = smallest(one, k)
    return found


def recall(found: Ids, true: Ids) -> float:  # [Q, k], [Q, k]
    """Share of the true neighbours that were found, averaged over the queries: recall@k.

    Raises ValueError where the two don't hold the same queries, or hold nothing.
    """
    if len(found) != len(true) or true.size == 0:
        raise ValueError(f"expected as many rows found as true, and some, got {len(found)} and {len(true)}")
    shares = [len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, true, strict=True)]
    return float(np.mean(shares))
