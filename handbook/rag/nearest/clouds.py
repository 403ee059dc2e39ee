"""Vectors to try an index on: unit vectors in clouds, on fewer dimensions than they are written in.

Evenly scattered vectors are no test: in hundreds of dimensions all are nearly equally far from each other
(Beyer et al. 1999, "When Is Nearest Neighbor Meaningful?", theorem 1), and no index can skip any. Tight
clouds are none either: one cell holds all neighbours. Embeddings of texts lie between, in loose clouds near a
surface of fewer dimensions.

The defaults were chosen so that 10,000 of them are about as hard as all-MiniLM-L6-v2's embeddings of as many
titles and first sentences of SciFact, asked with its claims: `handbook bench nearest --vectors` measures real
ones.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import numpy as np

from handbook.rag.nearest.exact import Vectors

_BLOCK = 1 << 15  # vectors made at a time


def clouds(
    count: int,
    queries: int,
    dimension: int = 384,
    centres: int = 200,
    inner: int | None = None,
    spread: float = 1.5,
    seed: int = 0,
) -> tuple[Vectors, Vectors]:
    """Unit vectors [count, dimension], and queries [queries, dimension] drawn anew from the same clouds.

    Each is a cloud's centre plus `spread` times noise in `inner` dimensions (a third of all by default), laid
    into `dimension` by a random map, plus a tenth of that noise in all of them. Centres have a length of
    about 1, clouds unequal sizes (Dirichlet). Deterministic for a seed. Takes memory for the result and
    little more, so a million fit.
    """
    draw = np.random.default_rng(seed)
    inner = max(1, dimension // 3) if inner is None else inner
    middle = (draw.normal(size=(centres, inner)) / np.sqrt(inner)).astype(np.float32)
    shares = draw.dirichlet(np.ones(centres))
    laid = (draw.normal(size=(inner, dimension)) / np.sqrt(dimension)).astype(np.float32)

    def noise(number: int, wide: int) -> Vectors:
        return draw.standard_normal((number, wide), np.float32) * np.float32(spread / np.sqrt(wide))

    def some(number: int) -> Vectors:
        made = np.empty((number, dimension), np.float32)
        for start in range(0, number, _BLOCK):
            block = made[start : start + _BLOCK]
            place = middle[draw.choice(centres, len(block), p=shares)] + noise(len(block), inner)
            block[:] = place @ laid + np.float32(0.1) * noise(len(block), dimension)
            block /= np.linalg.norm(block, axis=1, keepdims=True)
        return made

    return some(count), some(queries)
