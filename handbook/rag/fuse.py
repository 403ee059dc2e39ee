"""Stage 7, fuse: several rankings into one.

Reciprocal rank fusion needs no score to be comparable with another: Cormack, Clarke and Büttcher 2009
(SIGIR), "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", section 2, with
k = 60.
"""

from collections.abc import Hashable, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[T]], k: float = 60.0, weights: Sequence[float] | None = None
) -> list[tuple[T, float]]:
    """Items with their fused score, best first: sum over rankings of weight / (k + rank), ranks from 1.

    An item that a ranking lacks gets nothing from it. Ties keep the order in which items were first seen,
    rankings taken in turn.

    Raises:
        ValueError: weights of another length than rankings, a negative weight or k, or an item twice in one
        ranking.
    """
    weights = [1.0] * len(rankings) if weights is None else weights
    if len(weights) != len(rankings):
        raise ValueError(f"expected {len(rankings)} weights, one a ranking, got {len(weights)}")
    if k < 0 or any(weight < 0 for weight in weights):
        raise ValueError(f"expected k and weights of at least 0, got k={k}, weights={list(weights)}")
    scores: dict[T, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        if len(set(ranking)) != len(ranking):
            raise ValueError("expected each item once in a ranking, got one twice")
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return sorted(scores.items(), key=lambda pair: -pair[1])
