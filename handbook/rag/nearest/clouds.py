"""Vectors to try an index on: unit vectors in clouds, on fewer dimensions than they are written in.

Evenly scattered vectors are no test: in hundreds of dimensions all are nearly equally far from each other
(Beyer et al. 1999, "When Is Nearest Neighbor Meaningful?", theorem 1), and no index can skip any. Embeddings
of texts lie in clouds, and near a surface of few dimensions; so do these.
"""

import numpy as np

from handbook.rag.nearest.exact import Vectors


def clouds(
    count: int,
    queries: int,
    dimension: int = 384,
    centres: int = 64,
    inner: int = 24,
    spread: float = 0.6,
    seed: int = 0,
) -> tuple[Vectors, Vectors]:
    """Unit vectors [count, dimension], and queries [queries, dimension] drawn anew from the same clouds.

    Each is a cloud's centre plus `spread` times noise in `inner` dimensions, laid into `dimension` by a
    random map, plus a tenth of that noise in all of them. Centres are drawn with length about 1. Clouds have
    unequal sizes (Dirichlet). Deterministic for a seed.
    """
    draw = np.random.default_rng(seed)
    middle = draw.normal(size=(centres, inner)) / np.sqrt(inner)
    shares = draw.dirichlet(np.ones(centres))
    laid = draw.normal(size=(inner, dimension)) / np.sqrt(dimension)

    def some(number: int) -> Vectors:
        place = middle[draw.choice(centres, number, p=shares)]
        place = place + spread * draw.normal(size=(number, inner)) / np.sqrt(inner)
        noise = 0.1 * spread * draw.normal(size=(number, dimension)) / np.sqrt(dimension)
        found = place @ laid + noise
        unit: Vectors = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
        return unit

    return some(count), some(queries)
