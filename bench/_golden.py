"""The stages that `handbook bench rag` scores: over any golden set, and over the book as it is shipped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handbook.rag import retrieve
from handbook.rag.beir import Golden, Text, golden
from handbook.rag.embed import VectorCache
from handbook.rag.evaluate import Rank
from handbook.rag.fuse import reciprocal_rank_fusion
from handbook.rag.store import Store

Ranking = list[tuple[str, float]]
Rerank = Callable[[str, Sequence[str]], list[str]]
"""A question and the ids of candidates, best first -> the ids in a better order."""


@dataclass(frozen=True)
class Setting:
    """depth: candidates of each retriever. flatness: k of the fusion. lexical: weight of BM25's ranking in
    it, where the dense one has 1. pool: candidates that are reranked."""

    depth: int = 100
    flatness: float = 60.0
    lexical: float = 1.0
    pool: int = 50


class Words:
    """Full text over a golden set, as the index has it, in a folder of its own. A document is its title and
    text."""

    def __init__(self, found: Golden, folder: Path) -> None:
        import lancedb
        import pyarrow as pa
        from lancedb.index import FTS

        self.ids = list(found.documents)
        self.bodies = [text.whole for text in found.documents.values()]
        rows = pa.table({"id": self.ids, "body": self.bodies})
        self._table = lancedb.connect(folder).create_table("golden", rows, mode="overwrite")
        self._table.create_index("body", config=FTS())

    def search(self, text: str, depth: int) -> Ranking:
        """BM25, best first."""
        from lancedb.query import MatchQuery

        asked = self._table.search(MatchQuery(text, "body"), query_type="fts").limit(depth)
        found = asked.select(["id", "_score"]).to_arrow()
        return list(zip(found["id"].to_pylist(), found["_score"].to_pylist(), strict=True))


class Searcher:
    """Both retrievers over a golden set. A document has one vector."""

    def __init__(
        self, found: Golden, folder: Path, embedder: Any, cache: Store, progress: Any = None
    ) -> None:
        self._words = Words(found, folder)
        self.ids = self._words.ids
        self._embedder = embedder
        self._vectors = VectorCache(cache, embedder).vectors(self._words.bodies, progress)

    def lexical(self, text: str, depth: int) -> Ranking:
        return self._words.search(text, depth)

    def dense(self, text: str, depth: int) -> Ranking:
        """Exact cosines."""
        cosines = self._vectors @ self._embedder.embed([text])[0]
        best = np.argsort(-cosines, kind="stable")[:depth]
        return [(self.ids[place], float(cosines[place])) for place in best]

    def hybrid(self, text: str, setting: Setting) -> list[str]:
        lexical, dense = self.lexical(text, setting.depth), self.dense(text, setting.depth)
        rankings = [[id for id, _ in lexical], [id for id, _ in dense]]
        return [id for id, _ in reciprocal_rank_fusion(rankings, setting.flatness, (setting.lexical, 1.0))]

    def reranked(self, text: str, setting: Setting, rerank: Rerank) -> list[str]:
        found = self.hybrid(text, setting)
        return [*rerank(text, found[: setting.pool]), *found[setting.pool :]]

    def stages(self, setting: Setting, rerank: Rerank | None = None) -> dict[str, Rank]:
        """By name, in the pipeline's order."""
        found: dict[str, Rank] = {
            "BM25": lambda text: [id for id, _ in self.lexical(text, setting.depth)],
            "dense": lambda text: [id for id, _ in self.dense(text, setting.depth)],
            "hybrid": lambda text: self.hybrid(text, setting),
        }
        if rerank is not None:
            found["hybrid + rerank"] = lambda text: self.reranked(text, setting, rerank)
        return found


def book_golden(corpus: Any, rows: Sequence[Mapping[str, Any]]) -> Golden:
    """The questions of bench/ask over the paragraphs that may be cited."""
    citable = {id: entry.chunk for id, entry in corpus.entries.items() if entry.answers}
    documents = {id: Text(chunk.title, chunk.text) for id, chunk in citable.items()}
    asked = {row["id"]: row["question"] for row in rows}
    return golden("book", documents, asked, {row["id"]: dict.fromkeys(row["anchors"], 1) for row in rows})


def book_stages(corpus: Any, depth: int = 30, dense: bool = True) -> dict[str, Rank]:
    """What the question box does, stage by stage. dense: False where there is no embedder."""

    def lexical(text: str) -> Ranking:
        return list(corpus.text.match(retrieve.subject(text), depth, ("paragraph",), citable=True))

    def near(text: str) -> Ranking:
        return list(corpus.dense.search(corpus.embed(text), depth, ("paragraph",), citable=True))

    def fused(text: str) -> list[str]:
        return [hit.chunk.id for hit in retrieve.fused(lexical(text), near(text), corpus.entries)]

    def shipped(text: str) -> list[str]:
        return [hit.chunk.id for hit in corpus.retrieve(text, depth, ("paragraph",), citable=True)]

    words: dict[str, Rank] = {"BM25": lambda text: [id for id, _ in lexical(text)]}
    meaning: dict[str, Rank] = {
        "dense": lambda text: [id for id, _ in near(text)],
        "hybrid": fused,
        "hybrid + rerank": shipped,
    }
    return {**words, **meaning} if dense else words
