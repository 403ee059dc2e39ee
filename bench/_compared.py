"""What `handbook bench rag --compare` compares, on a golden set whose questions were asked once.

Each comparison gives rows: what it is, its nDCG@10, and the difference to the row that it is compared with,
with the interval of a paired bootstrap. Where a setting is chosen among several it is chosen on one half of
the questions and quoted on the other.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from _golden import Searcher, Setting

from handbook.embed import truncated
from handbook.rag.beir import Golden
from handbook.rag.diversity import diverse
from handbook.rag.embedding import Binary, Int8, Whole, nearest, rescored
from handbook.rag.evaluate import Scores, difference, scores
from handbook.rag.fuse import reciprocal_rank_fusion
from handbook.rag.late_interaction import LateInteraction
from handbook.rag.nouns import Found
from handbook.rag.search import SCALES, Both, Method, fused
from handbook.rag.sweep import halves

NDCG = "nDCG@10"
WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of words, where meaning has 1
BALANCES = (0.9, 0.7, 0.5)
LATE_POOL = 20
DEPTH = 100
Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A question with its vector and what both retrievers found."""

    text: str
    vector: Any
    both: Both


def ask(searcher: Searcher, golden: Golden, embedder: Any) -> dict[str, Asked]:
    """By query id."""
    vectors = embedder.embed(list(golden.queries.values()))
    return {
        id: Asked(text, vector, searcher.both(text, vector, DEPTH))
        for (id, text), vector in zip(golden.queries.items(), vectors, strict=True)
    }


def scored(golden: Golden, rank: Callable[[str], Sequence[str]]) -> Scores:
    """rank: a query's id -> ids, best first."""
    return scored_run(golden, {id: rank(id) for id in golden.queries})


def scored_run(golden: Golden, run: Mapping[str, Sequence[str]]) -> Scores:
    return scores("", run, golden.judged, [NDCG])


def row(what: str, found: Scores, base: Scores | None = None, **more: Any) -> Row:
    told: Row = {"what": what, NDCG: round(found.mean(NDCG), 4), **more}
    if base is not None:
        apart = difference(found.values[NDCG], base.values[NDCG])
        told |= {name: round(getattr(apart, name), 4) for name in ("mean", "low", "high")}
    return told


def ids(found: Sequence[Found]) -> list[str]:
    return [one.row.id for one in found]


def hybrid(one: Asked) -> list[Found]:
    return fused(one.both, Setting().flatness)


def fusion(golden: Golden, asked: Mapping[str, Asked], **_: Any) -> list[Row]:
    """Every method with equal weights on all questions; then with the weight that was best on one half,
    quoted on the other, against reciprocal rank fusion as it is."""

    def ranked(method: Method, k: float, weight: float) -> Callable[[str], list[str]]:
        return lambda id: ids(fused(asked[id].both, k, (weight, 1.0), method))

    flatness = Setting().flatness
    ways: dict[str, tuple[Method, float]] = {f"rrf, k = {k:g}": ("rrf", k) for k in (flatness, 60.0)}
    ways |= {name: (name, flatness) for name in SCALES}
    base = scored(golden, ranked("rrf", flatness, 1.0))
    rows = [row(name, scored(golden, ranked(*way, 1.0)), base) for name, way in ways.items()]
    chosen_on, quoted_on = halves(golden)
    as_it_is = scored(quoted_on, ranked("rrf", flatness, 1.0))
    rows.append(row("rrf as it is, on the other half", as_it_is))
    for name, way in ways.items():
        means = {weight: scored(chosen_on, ranked(*way, weight)).mean(NDCG) for weight in WEIGHTS}
        best = max(WEIGHTS, key=lambda weight: means[weight])
        found = scored(quoted_on, ranked(*way, best))
        rows.append(row(f"{name}, weight chosen, on the other half", found, as_it_is, weight=best))
    return rows


def diversity(golden: Golden, asked: Mapping[str, Asked], vectors: Mapping[str, Any], **_: Any) -> list[Row]:
    """Maximal marginal relevance over the fused ranking: what it costs, and how alike the first ten are."""
    pools = {id: hybrid(one)[: Setting().pool] for id, one in asked.items()}
    near = {id: np.stack([vectors[name] for name in ids(pool)]) for id, pool in pools.items() if pool}

    def alike(orders: Mapping[str, Sequence[str]]) -> float:
        """Mean cosine of two of a question's first ten."""
        means = []
        for names in orders.values():
            first = np.stack([vectors[name] for name in names[:10]])
            cosines = (first @ first.T)[np.triu_indices(len(first), 1)]
            means.append(float(cosines.mean()))
        return round(float(np.mean(means)), 4)

    plain = {id: ids(pool) for id, pool in pools.items() if len(pool) > 1}
    base = scored_run(golden, plain)
    rows = [row("hybrid", base, alike=alike(plain))]
    for balance in BALANCES:
        new = {id: ids(diverse(pools[id], near[id], 10, balance)) for id in plain}
        rows.append(row(f"mmr, balance {balance}", scored_run(golden, new), base, alike=alike(new)))
    return rows


def late(golden: Golden, asked: Mapping[str, Asked], embedder: Any, **_: Any) -> list[Row]:
    """The first candidates by MaxSim, alone and fused by rank with the order that they had."""
    interaction = LateInteraction(embedder, kept=5000)
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    reading, again = [], []
    for id, one in asked.items():
        pool = hybrid(one)
        for times in (reading, again):
            begin = time.perf_counter()
            found = interaction(one.text, pool[:LATE_POOL])
            times.append(time.perf_counter() - begin)
        before[id], after[id] = ids(pool), ids(found)
    base = scored(golden, lambda id: before[id])

    def blended(weight: float) -> Callable[[str], list[str]]:
        def rank(id: str) -> list[str]:
            both = reciprocal_rank_fusion(
                [before[id][:LATE_POOL], after[id]], Setting().flatness, [1, weight]
            )
            return [name for name, _ in both]

        return rank

    times = {
        "p50_ms_reading": round(float(np.median(reading)) * 1e3, 1),
        "p50_ms_remembered": round(float(np.median(again)) * 1e3, 1),
    }
    rows = [row("hybrid", base), row("MaxSim", scored(golden, lambda id: after[id]), base, **times)]
    rows += [row(f"both by rank, MaxSim {w:g}", scored(golden, blended(w)), base) for w in (0.5, 1.0)]
    return rows


def forms(golden: Golden, asked: Mapping[str, Asked], vectors: Mapping[str, Any], **_: Any) -> list[Row]:
    """Dense search, exact, over smaller forms of the vectors."""
    names = list(vectors)
    matrix = np.stack(list(vectors.values()))
    count, dimension = matrix.shape
    small, signs = Int8.of(matrix), Binary.of(matrix)

    def ranked(search: Callable[[Any], Any]) -> Scores:
        return scored(golden, lambda id: [names[place] for place in search(asked[id].vector)])

    def first(kept: int) -> Scores:
        less = Whole(truncated(matrix, kept))
        return ranked(lambda query: nearest(truncated(query[None], kept)[0], less, DEPTH))

    base = ranked(lambda query: nearest(query, Whole(matrix), DEPTH))
    rows = [row(f"fp32, {dimension}", base, bytes=4 * dimension)]
    for kept in (dimension * 3 // 4, dimension // 2, dimension // 4):
        rows.append(row(f"fp32, first {kept}", first(kept), base, bytes=4 * kept))
    ways: list[tuple[str, Callable[[Any], Any], float]] = [
        ("int8", lambda query: nearest(query, small, DEPTH), small.nbytes),
        ("binary, Hamming alone", lambda query: np.argsort(signs.distances(query), kind="stable")[:DEPTH], 0),
        ("binary, signs by the question's numbers", lambda query: rescored(query, signs, DEPTH), 0),
        ("binary, 40 rescored by int8", lambda query: rescored(query, signs, 10, small), small.nbytes),
        ("binary, 100 rescored by int8", lambda query: rescored(query, signs, 10, small, 10), small.nbytes),
    ]
    for what, search, more in ways:
        held = more if what == "int8" else signs.nbytes + more
        rows.append(row(what, ranked(search), base, bytes=round(held / count, 1)))
    return rows


COMPARED: dict[str, Callable[..., list[Row]]] = {
    "fusion": fusion,
    "diversity": diversity,
    "late": late,
    "forms": forms,
}


def in_words(name: str, rows: Sequence[Row]) -> str:
    lines = [f"{name}:"]
    for each in rows:
        apart = f"{each['mean']:+.4f} ({each['low']:+.4f} to {each['high']:+.4f})" if "mean" in each else ""
        more = ", ".join(
            f"{key} {value}"
            for key, value in each.items()
            if key not in ("what", NDCG, "mean", "low", "high")
        )
        lines.append(f"  {each['what']:<44}{each[NDCG]:8.4f}  {apart:<28}{more}")
    return "\n".join(lines)
