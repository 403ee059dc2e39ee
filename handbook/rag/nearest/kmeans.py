"""k-means: k centres such that vectors lie near the centre of their cell.

Lloyd 1982, "Least Squares Quantization in PCM": assign each vector to the nearest centre, move each centre
to the mean of its vectors, again. Neither step can make the sum of squared distances larger, so it ends.
Where it ends hangs on the start: `seeds` is k-means++ (Arthur and Vassilvitskii 2007, section 2.2).

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from dataclasses import dataclass

import numpy as np

from handbook.rag.nearest.exact import Ids, Vectors, pairwise, squared_distances

_BLOCK = 1 << 22  # distances held at once


@dataclass(frozen=True)
class Clustering:
    """centres: [K, D]. cells: [N], each vector's centre. errors: mean squared distance to one's centre, after
    each assignment; never rises but where an empty cell was filled."""

    centres: Vectors
    cells: Ids
    errors: tuple[float, ...]


def seeds(vectors: Vectors, k: int, draw: np.random.Generator) -> Vectors:  # [N, D] -> [K, D]
    """k vectors to start from: the first by chance, each next one with a chance in proportion to its squared
    distance from the nearest seed so far, so that far-off clouds get one."""
    chosen = [int(draw.integers(len(vectors)))]
    nearest = squared_distances(vectors[chosen[0]], vectors).astype(np.float64)
    while len(chosen) < k:
        total = nearest.sum()
        chances = nearest / total if total > 0 else None  # all vectors are seeds already: any will do
        chosen.append(int(draw.choice(len(vectors), p=chances)))
        nearest = np.minimum(nearest, squared_distances(vectors[chosen[-1]], vectors))
    return vectors[chosen]


def assign(vectors: Vectors, centres: Vectors) -> tuple[Ids, Vectors]:  # [N, D], [K, D] -> [N], [N]
    """Each vector's nearest centre, and the squared distance to it; the first of equally near ones."""
    cells = np.empty(len(vectors), np.int64)
    distances = np.empty(len(vectors), np.float32)
    step = max(1, _BLOCK // len(centres))
    for start in range(0, len(vectors), step):
        block = pairwise(vectors[start : start + step], centres)
        cells[start : start + step] = best = block.argmin(axis=1)
        distances[start : start + step] = block[np.arange(len(block)), best]
    return cells, distances


def means_plain(vectors: Vectors, cells: Ids, k: int) -> Vectors:  # [N, D], [N] -> [K, D]
    """The mean of each cell's vectors; NaN where a cell has none."""
    found = np.full((k, vectors.shape[1]), np.nan, np.float32)
    for cell in range(k):
        own = vectors[cells == cell]
        if len(own):
            found[cell] = own.mean(axis=0)
    return found


def means(vectors: Vectors, cells: Ids, k: int) -> Vectors:  # [N, D], [N] -> [K, D]
    """As `means_plain`, reading the vectors once: sorted by cell, each cell is one run."""
    order = np.argsort(cells, kind="stable")
    sizes = np.bincount(cells, minlength=k)
    filled = np.flatnonzero(sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    found = np.full((k, vectors.shape[1]), np.nan, np.float32)
    sums = np.add.reduceat(vectors[order], starts[filled], axis=0)
    found[filled] = sums / sizes[filled, None]
    return found


def fill(centres: Vectors, vectors: Vectors, distances: Vectors) -> Vectors:  # [K, D], [N, D], [N]
    """The centres, where those of empty cells (NaN) have moved to the vectors that lie farthest from theirs.

    Nobody needed them where they were, and there they take somebody's whole distance away.
    """
    empty = np.flatnonzero(np.isnan(centres[:, 0]))
    moved = centres.copy()
    moved[empty] = vectors[np.argsort(-distances)[: len(empty)]]
    return moved


def kmeans(vectors: Vectors, k: int, rounds: int = 25, seed: int = 0) -> Clustering:  # [N, D]
    """Centres after at most `rounds` rounds, or once no vector changes its cell.

    Raises ValueError where k is not between 1 and the number of vectors.
    """
    if not 1 <= k <= len(vectors):
        raise ValueError(f"expected between 1 and {len(vectors)} cells, as there are vectors, got {k}")
    centres = seeds(vectors, k, np.random.default_rng(seed))
    cells, distances = assign(vectors, centres)
    errors = [float(distances.mean())]
    for _ in range(rounds):
        centres = fill(means(vectors, cells, k), vectors, distances)
        before = cells
        cells, distances = assign(vectors, centres)
        errors.append(float(distances.mean()))
        if np.array_equal(before, cells):
            break
    return Clustering(centres, cells, tuple(errors))
