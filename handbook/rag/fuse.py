"""Stage 7, fuse: several rankings into one, by rank or by score.

Reciprocal rank fusion needs no score to be comparable with another: Cormack, Clarke and Büttcher 2009
(SIGIR), "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", section 2, with
k = 60. It forgets by how much one item beat the next.

Score fusion keeps that: a weighted sum of scores (Fox and Shaw 1994, "Combination of Multiple Searches",
TREC-2: CombSUM) that were brought to one scale before. Three scales: the list's own lowest and highest (Lee
1997, SIGIR, "Analyses of Multiple Evidence Combination", section 3), its mean and spread (Montague and Aslam
2001, CIKM, "Relevance Score Normalization for Metasearch"), and the lowest that the score can be at all
(Bruch, Gai and Ingber 2023, arXiv:2210.11934, section 4, "theoretical min-max").

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=Hashable)
Scores = NDArray[np.float64]
Normalise = Callable[[Scores], Scores]
"""Scores of one list, [N], at least one, finite -> the same on a scale that lists have in common."""
Scored = Mapping[T, float] | Sequence[tuple[T, float]]
"""Items with their scores in one list, in any order."""


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
    weights = _weights(weights, len(rankings))
    if k < 0:
        raise ValueError(f"expected a k of at least 0, got {k}")
    scores: dict[T, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        if len(set(ranking)) != len(ranking):
            raise ValueError("expected each item once in a ranking, got one twice")
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return _best_first(scores)


def min_max(scores: Scores) -> Scores:
    """From 0, the list's lowest, to 1, its highest; 1 each where all are alike."""
    least, most = scores.min(), scores.max()
    return (scores - least) / (most - least) if most > least else np.ones_like(scores)


def z_scores(scores: Scores) -> Scores:
    """How many standard deviations above the list's mean; 1 each where all are alike."""
    spread = scores.std()
    return (scores - scores.mean()) / spread if spread > 0 else np.ones_like(scores)


def within_bounds(least: float, most: float | None = None) -> Normalise:
    """From 0, the lowest that such a score can be, to 1, the highest; without `most`, the list's highest.

    So a list of which nothing is any good stays low, where `min_max` gives its best a 1. BM25 is at least 0,
    a cosine at least -1.
    """

    def normalise(scores: Scores) -> Scores:
        highest = float(scores.max()) if most is None else most
        return np.clip((scores - least) / (highest - least), 0, 1) if highest > least else scores * 0

    return normalise


def weighted_score_fusion(
    scored: Sequence[Scored[T]],
    weights: Sequence[float] | None = None,
    normalise: Normalise | Sequence[Normalise] = min_max,
) -> list[tuple[T, float]]:
    """Items with their fused score, best first: sum over lists of weight * normalised score.

    An item that a list lacks gets the lowest that the list gives (it scored no more than that), or 0 where
    the list makes no difference between its items. Ties keep the order in which items were first seen.

    Args:
        normalise: one for all lists, or one each.
    Raises:
        ValueError: weights or normalisations of another number than lists, a negative weight, a score that
        is not finite, or an item twice in one list.
    """
    weights = _weights(weights, len(scored))
    ways = [normalise] * len(scored) if callable(normalise) else normalise
    if len(ways) != len(scored):
        raise ValueError(f"expected {len(scored)} normalisations, one a list, got {len(ways)}")
    lists = [dict(one) for one in scored]
    if any(len(kept) != len(given) for kept, given in zip(lists, scored, strict=True)):
        raise ValueError("expected each item once in a list, got one twice")
    total: dict[T, float] = dict.fromkeys((item for one in lists for item in one), 0.0)
    for one, weight, way in zip(lists, weights, ways, strict=True):
        if not one:
            continue
        scores = np.fromiter(one.values(), np.float64, len(one))
        if not np.isfinite(scores).all():
            raise ValueError("expected finite scores")
        values = way(scores)
        level = dict(zip(one, values.tolist(), strict=True))
        absent = float(values.min()) if values.max() > values.min() else 0.0
        for item in total:
            total[item] += weight * level.get(item, absent)
    return _best_first(total)


def _weights(weights: Sequence[float] | None, lists: int) -> Sequence[float]:
    weights = [1.0] * lists if weights is None else weights
    if len(weights) != lists:
        raise ValueError(f"expected {lists} weights, one a ranking, got {len(weights)}")
    if any(weight < 0 for weight in weights):
        raise ValueError(f"expected weights of at least 0, got {list(weights)}")
    return weights


def _best_first(scores: Mapping[T, float]) -> list[tuple[T, float]]:
    return sorted(scores.items(), key=lambda pair: -pair[1])
