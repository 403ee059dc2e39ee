"""Stage 7, after fusion: passages that say something that the ones before them have not.

Maximal marginal relevance: Carbonell and Goldstein 1998 (SIGIR), "The Use of MMR, Diversity-Based Reranking
for Reordering Documents and Producing Summaries", section 2.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handbook.rag.fuse import min_max
from handbook.rag.nouns import Found

BALANCE = 0.7  # share of relevance; the rest is novelty


def plain(
    relevance: Sequence[float], alike: Sequence[Sequence[float]], limit: int, balance: float
) -> list[int]:
    """The definition: again and again the item with the highest

        balance * relevance - (1 - balance) * likeness to the most alike of those chosen

    relevance: [N]. alike: of each item to each, [N][N]. Ties go to the earlier.
    """
    chosen: list[int] = []
    rest = list(range(len(relevance)))
    while rest and len(chosen) < limit:

        def worth(item: int) -> float:
            nearest = max((alike[item][other] for other in chosen), default=0.0)
            return balance * relevance[item] - (1 - balance) * nearest

        best = max(rest, key=worth)
        chosen.append(best)
        rest.remove(best)
    return chosen


def mmr(
    relevance: Sequence[float] | NDArray[np.float64],
    vectors: NDArray[np.float32],
    limit: int,
    balance: float = BALANCE,
) -> list[int]:
    """Places of the chosen items, the first chosen first. Equals `plain` on the vectors' cosines.

    The likeness to the nearest of those chosen is kept and only compared with the newest, so it costs
    limit * N products and no matrix of all pairs.

    Args:
        relevance: [N], on the scale of a cosine (0 to 1), or the balance means nothing.
        vectors: [N, D], of length 1.
        balance: 1 is relevance alone, 0 novelty alone.
    Raises ValueError for a balance outside 0 to 1 and for another number of vectors than of relevances.
    """
    if not 0 <= balance <= 1:
        raise ValueError(f"expected a balance of 0 to 1, got {balance}")
    if len(relevance) != len(vectors):
        raise ValueError(f"expected {len(relevance)} vectors, one an item, got {len(vectors)}")
    gain = balance * np.asarray(relevance, np.float64)
    nearest = np.zeros(len(gain))  # nothing is chosen yet
    chosen: list[int] = []
    for _ in range(min(limit, len(gain))):
        worth = gain - (1 - balance) * nearest
        worth[chosen] = -np.inf
        best = int(worth.argmax())
        likeness = (vectors @ vectors[best]).astype(np.float64)
        nearest = np.maximum(nearest, likeness) if chosen else likeness
        chosen.append(best)
    return chosen


def diverse(
    found: Sequence[Found], vectors: NDArray[np.float32], limit: int, balance: float = BALANCE
) -> list[Found]:
    """Up to `limit` hits, the relevant and new first. Scores stay what they were; relevance is what they are
    between the lowest and the highest of `found`. vectors: of the hits in their order, [N, D], length 1."""
    scores = np.array([one.score for one in found], np.float64)
    return [found[place] for place in mmr(min_max(scores) if found else scores, vectors, limit, balance)]
