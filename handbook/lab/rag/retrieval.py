"""Stages 6 and 7: words, meaning, both; how rankings are made one; what diversity costs."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from handbook.lab.rag.subjects import Scored, Subject, run, subject
from handbook.rag.diversity import BALANCE, mmr
from handbook.rag.evaluate import Run
from handbook.rag.fuse import (
    Normalise,
    min_max,
    reciprocal_rank_fusion,
    weighted_score_fusion,
    within_bounds,
    z_scores,
)
from handbook.rag.retrieve import FLATNESS


def fused(
    found: Subject, k: float = FLATNESS, weights: tuple[float, float] = (1.0, 1.0), depth: int = 100
) -> Run:
    """Reciprocal rank fusion of BM25 and dense, as the question box has it. weights: of words, of meaning."""
    both = (run(found.lexical), run(found.dense))
    return {
        query: [id for id, _ in reciprocal_rank_fusion([one[query][:depth] for one in both], k, weights)]
        for query in found.golden.queries
    }


def scifact_bm25(small: bool = True) -> float:
    found = subject("scifact", small)
    return found.mean(run(found.lexical))


def scifact_dense(small: bool = True) -> float:
    found = subject("scifact", small)
    return found.mean(run(found.dense))


def scifact_hybrid(small: bool = True) -> float:
    found = subject("scifact", small)
    return found.mean(fused(found))


def cacm_bm25(small: bool = True) -> float:
    found = subject("cacm", small)
    return found.mean(run(found.lexical))


def cacm_dense(small: bool = True) -> float:
    found = subject("cacm", small)
    return found.mean(run(found.dense))


def cacm_hybrid(small: bool = True) -> float:
    found = subject("cacm", small)
    return found.mean(fused(found))


def book_bm25(small: bool = True) -> float:
    found = subject("book", small)
    return found.mean(run(found.lexical))


def book_dense(small: bool = True) -> float:
    found = subject("book", small)
    return found.mean(run(found.dense))


def book_hybrid(small: bool = True) -> float:
    found = subject("book", small)
    return found.mean(fused(found))


def _hybrid_gain(name: str, small: bool) -> list[float]:
    found = subject(name, small)
    best = max((run(found.lexical), run(found.dense)), key=found.mean)
    return found.gain(fused(found), best)


def hybrid_gain_scifact(small: bool = True) -> list[float]:
    return _hybrid_gain("scifact", small)


def hybrid_gain_cacm(small: bool = True) -> list[float]:
    return _hybrid_gain("cacm", small)


def cacm_repeats_gain(small: bool = True) -> list[float]:
    """Words that a question says twice counted twice, over once."""
    found = subject("cacm", small)
    once = {query: found.having(text, once=True) for query, text in found.golden.queries.items()}
    return found.gain(run(found.lexical), run(once))


def rrf_60_gain(small: bool = True) -> list[float]:
    found = subject("scifact", small)
    return found.gain(fused(found, 60.0), fused(found))


def by_k(name: str, small: bool = True) -> list[tuple[float, float]]:
    """nDCG@10 for each k, for the plot."""
    found = subject(name, small)
    return [(k, found.mean(fused(found, k))) for k in (1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 200.0)]


def stages(name: str, small: bool = True) -> Mapping[str, float]:
    """nDCG@10 of each, for the plot."""
    found = subject(name, small)
    return {
        "BM25": found.mean(run(found.lexical)),
        "dense": found.mean(run(found.dense)),
        "hybrid": found.mean(fused(found)),
    }


SCALES: dict[str, Normalise | tuple[Normalise, Normalise]] = {
    "min-max": min_max,
    "z-score": z_scores,
    "bounds": (within_bounds(0.0), within_bounds(-1.0, 1.0)),
}


def by_score(found: Subject, scale: str = "min-max", words: float = 0.5) -> Run:
    """Weighted sums of scores on one scale. words: weight of BM25; meaning has the rest."""
    return {
        query: [
            id
            for id, _ in weighted_score_fusion(
                [found.lexical[query], found.dense[query]], (words, 1 - words), SCALES[scale]
            )
        ]
        for query in found.golden.queries
    }


def score_fusion_gain(small: bool = True) -> list[float]:
    """Min-max over ranks, both sides weighing the same."""
    found = subject("scifact", small)
    return found.gain(by_score(found), fused(found))


def score_fusion_gain_cacm(small: bool = True) -> list[float]:
    found = subject("cacm", small)
    return found.gain(by_score(found), fused(found))


def by_weight(name: str, scale: str, small: bool = True) -> list[tuple[float, float]]:
    """nDCG@10 for each weight of words, for the plot."""
    found = subject(name, small)
    return [(tenth / 10, found.mean(by_score(found, scale, tenth / 10))) for tenth in range(11)]


def diverse(found: Subject, balance: float = BALANCE, pool: int = 50) -> dict[str, list[str]]:
    """The first ten by maximal marginal relevance among the best `pool` of both fused."""
    chosen = {}
    for query in found.golden.queries:
        best = candidates(found, query)[:pool]
        relevance = min_max(np.array([score for _, score in best]))
        vectors = found.vectors[[found.place[id] for id, _ in best]]
        chosen[query] = [best[place][0] for place in mmr(relevance, vectors, 10, balance)]
    return chosen


def mmr_cost(small: bool = True) -> list[float]:
    """Without diversity over with it, by nDCG@10."""
    found = subject("scifact", small)
    return found.gain(diverse(found, 1.0), diverse(found))


def mmr_alike(small: bool = True) -> float:
    """Likeness among the first ten, with diversity over without."""
    found = subject("scifact", small)
    spread, plain = (
        [alike(found, ranking) for ranking in diverse(found, balance).values()] for balance in (BALANCE, 1.0)
    )
    return float(np.mean(spread) / np.mean(plain))


def alike(found: Subject, ranking: list[str]) -> float:
    """Mean cosine between the documents of a ranking, each with each."""
    vectors = found.vectors[[found.place[id] for id in ranking]]
    return float(np.mean([vectors[a] @ vectors[b] for a, b in combinations(range(len(ranking)), 2)]))


def candidates(found: Subject, query: str, depth: int = 100) -> Scored:
    """Fused, with their scores."""
    both = [[id for id, _ in side[query][:depth]] for side in (found.lexical, found.dense)]
    return reciprocal_rank_fusion(both, FLATNESS)
