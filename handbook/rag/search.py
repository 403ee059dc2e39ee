"""Stage 6 over a corpus: by meaning and by words at once, and what stands around a hit.

A chunk is small so that it can be found, and then often too small to be read: the sentence before it says
what "it" is. So a hit can be handed on as its parent (the section that it is of) or with its neighbours.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal, get_args

from handbook.rag.fuse import (
    Normalise,
    min_max,
    reciprocal_rank_fusion,
    weighted_score_fusion,
    within_bounds,
    z_scores,
)
from handbook.rag.nouns import Condition, Found, Row
from handbook.rag.reader import Reader
from handbook.rag.retrieve import DEPTH, subject

Method = Literal["rrf", "min-max", "z-score", "bounds"]
SCALES: dict[Method, tuple[Normalise, Normalise]] = {  # of BM25 and of cosines
    "min-max": (min_max, min_max),
    "z-score": (z_scores, z_scores),
    "bounds": (within_bounds(0), within_bounds(-1)),
}


@dataclass(frozen=True, slots=True)
class Both:
    """What each retriever found, best first, and the seconds it took."""

    dense: tuple[Found, ...]
    lexical: tuple[Found, ...]
    dense_seconds: float = 0.0
    lexical_seconds: float = 0.0


class Retriever:
    """Asks a corpus by meaning and by words at the same time. Threads may share one."""

    def __init__(self, corpus: Reader, threads: int = 4) -> None:
        self.corpus = corpus
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix="full-text")

    def both(
        self,
        question: str,
        vector: Any,
        conditions: Sequence[Condition],
        tenant: str,
        depth: int = DEPTH,
    ) -> Both:
        """What is near a question. vector: of the question, [D]; None asks by words alone.

        Raises what `Reader.dense` raises.
        """

        def lexical() -> tuple[list[Found], float]:
            begin = perf_counter()
            return self.corpus.lexical(subject(question), depth, conditions, tenant), perf_counter() - begin

        waiting = self._workers.submit(lexical)
        begin = perf_counter()
        try:
            near = [] if vector is None else self.corpus.dense(vector, depth, conditions, tenant)
            seconds = perf_counter() - begin
        finally:
            by_words, words_seconds = waiting.result()
        return Both(tuple(near), tuple(by_words), seconds, words_seconds)

    def close(self) -> None:
        self._workers.shutdown()


def fused(
    found: Both, k: float = 60.0, weights: tuple[float, float] = (1.0, 1.0), method: Method = "rrf"
) -> list[Found]:
    """Both rankings as one, each row with the scores that brought it.

    k: of reciprocal rank fusion. weights: of words and of meaning. method: by rank, or by scores on the scale
    that it names (handbook/rag/fuse.py). Raises ValueError for another.
    """
    lexical = {one.row.id: one for one in found.lexical}
    dense = {one.row.id: one for one in found.dense}
    if method == "rrf":
        ranked = reciprocal_rank_fusion([list(lexical), list(dense)], k, weights)
    elif method in SCALES:
        bm25 = {id: one.score if one.lexical is None else one.lexical for id, one in lexical.items()}
        cosines = {id: one.score if one.dense is None else one.dense for id, one in dense.items()}
        ranked = weighted_score_fusion([bm25, cosines], weights, SCALES[method])
    else:
        raise ValueError(f"expected a method of {', '.join(get_args(Method))}, got {method!r}")
    hits = []
    for id, score in ranked:
        row = (lexical.get(id) or dense[id]).row
        cosine = dense[id].dense if id in dense else None
        hits.append(Found(row, score, cosine, lexical[id].lexical if id in lexical else None))
    return hits


def with_parents(found: Sequence[Found], corpus: Reader, tenant: str) -> list[Found]:
    """Each hit as its parent: the chunks that it is made of, put together. Of several hits with one parent
    the first stands, with its id and its scores."""
    families = corpus.families([one.row for one in found], tenant)
    seen: set[tuple[str, tuple[int, int]]] = set()
    kept = []
    for one in found:
        key = one.row.document, one.row.parent or (one.row.start, one.row.end)
        if key not in seen:
            seen.add(key)
            kept.append(replace(one, row=stitched(families[one.row.id], one.row)))
    return kept


def with_neighbours(found: Sequence[Found], n: int, corpus: Reader, tenant: str) -> list[Found]:
    """Each hit with up to n chunks before and after it. What a better hit has brought already is not
    brought again, and a hit that stands in one's surroundings is part of that one."""
    around = corpus.around([one.row.id for one in found], n, tenant)
    taken: set[str] = set()
    kept = []
    for one in found:
        if one.row.id in taken:
            continue
        rows = around.get(one.row.id, [one.row])
        here = next(place for place, row in enumerate(rows) if row.id == one.row.id)
        first, last = here, here
        while first and rows[first - 1].id not in taken:
            first -= 1
        while last + 1 < len(rows) and rows[last + 1].id not in taken:
            last += 1
        taken.update(row.id for row in rows[first : last + 1])
        kept.append(replace(one, row=stitched(rows[first : last + 1], one.row)))
    return kept


def stitched(rows: Sequence[Row], chosen: Row) -> Row:
    """Neighbouring chunks as one row that is otherwise `chosen`: its text has each character where it has
    it in the document. What overlaps is taken once; between chunks there is only white space, of which the
    index does not say which, so that a line's end stands for it where there is room."""
    text, start, end = "", rows[0].start, rows[0].start
    for row in sorted(rows, key=lambda row: row.start):
        gap = row.start - end
        if gap > 0:
            text += " " if gap == 1 else "\n\n" + " " * (gap - 2)
        text += row.text[max(0, -gap) :]
        end = max(end, row.end)
    headings = []
    for above in zip(*(row.headings for row in rows), strict=False):
        if len(set(above)) > 1:
            break
        headings.append(above[0])
    return replace(chosen, text=text, start=start, end=end, headings=tuple(headings))
