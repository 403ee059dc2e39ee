"""Cormack, Clarke and Büttcher 2009 (SIGIR), "Reciprocal Rank Fusion outperforms Condorcet and individual
Rank Learning Methods", section 2.

The handbook's own is `handbook.rag.fuse.reciprocal_rank_fusion`, which a test compares. The large k makes
ranks 1 and 2 nearly alike, so that being in both lists is worth more than being first in one.
"""

from collections.abc import Hashable, Sequence


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[Hashable]], k: float = 60.0, weights: Sequence[float] | None = None
) -> list[tuple[Hashable, float]]:
    """Items with their fused scores. Raises ValueError for numbers and rankings that cannot be."""
    weights = [1.0] * len(rankings) if weights is None else weights
    if len(weights) != len(rankings):
        raise ValueError(f"expected {len(rankings)} weights, one a ranking, got {len(weights)}")
    if k < 0 or any(weight < 0 for weight in weights):
        raise ValueError(f"expected k and weights of at least 0, got k={k}, weights={list(weights)}")
    scores: dict[Hashable, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        if len(set(ranking)) != len(ranking):
            raise ValueError("expected each item once in a ranking, got one twice")
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return sorted(scores.items(), key=lambda pair: -pair[1])  # equal ones stay in the order they came
