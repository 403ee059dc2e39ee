"""The stages that `handbook bench rag` scores: over any golden set, and over the book as it is shipped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handbook.rag import retrieve, search
from handbook.rag.beir import Golden, Text, golden
from handbook.rag.cross import POOL
from handbook.rag.evaluate import Rank
from handbook.rag.index import Index
from handbook.rag.nouns import Found, Row

Ranking = list[tuple[str, float]]
Rerank = Callable[[str, Sequence[Found]], Sequence[Found]]
"""A question and candidates, best first -> the candidates in a better order."""


@dataclass(frozen=True)
class Setting:
    """depth: candidates of a retriever. flatness: k of the fusion, the question box's, chosen on the book.
    lexical: weight of BM25's ranking in it, where the dense one has 1. pool: candidates that are reranked."""

    depth: int = 100
    flatness: float = retrieve.FLATNESS
    lexical: float = 1.0
    pool: int = POOL


TENANT = ""


class Searcher:
    """Stages over a golden set, in an index of its own. A document is one row with one vector.

    Args:
        index: a new one of the embedder's dimension.
        vectors: of the documents in their order, [N, D].
    """

    def __init__(self, found: Golden, index: Index, embedder: Any, vectors: Any) -> None:
        rows = [
            Row(id, id, text.text, 0, len(text.text), text.title, tenant=TENANT)
            for id, text in found.documents.items()
        ]
        index.write(rows, vectors)
        index.compact(TENANT)
        self._index = index
        self._embedder = embedder
        self._retriever = search.Retriever(index)

    def lexical(self, text: str, depth: int) -> list[str]:
        found = self._index.lexical(retrieve.subject(text), depth, (), TENANT)
        return [one.row.id for one in found]

    def dense(self, text: str, depth: int) -> list[str]:
        found = self._index.dense(self._embedder.embed([text])[0], depth, (), TENANT)
        return [one.row.id for one in found]

    def both(self, text: str, vector: Any, depth: int) -> search.Both:
        return self._retriever.both(text, vector, (), TENANT, depth)

    def hybrid(self, text: str, setting: Setting) -> list[Found]:
        both = self.both(text, self._embedder.embed([text])[0], setting.depth)
        return search.fused(both, setting.flatness, (setting.lexical, 1.0))

    def reranked(self, text: str, setting: Setting, rerank: Rerank) -> list[str]:
        found = self.hybrid(text, setting)
        return [one.row.id for one in (*rerank(text, found[: setting.pool]), *found[setting.pool :])]

    def stages(self, setting: Setting, rerank: Rerank | None = None) -> dict[str, Rank]:
        """By name, in the pipeline's order."""
        found: dict[str, Rank] = {
            "BM25": lambda text: self.lexical(text, setting.depth),
            "dense": lambda text: self.dense(text, setting.depth),
            "hybrid": lambda text: [one.row.id for one in self.hybrid(text, setting)],
        }
        if rerank is not None:
            found["hybrid + rerank"] = lambda text: self.reranked(text, setting, rerank)
        return found

    def close(self) -> None:
        self._retriever.close()


def book_golden(corpus: Any, rows: Sequence[Mapping[str, Any]]) -> Golden:
    """The questions of bench/ask over the paragraphs that may be cited."""
    citable = {id: entry.chunk for id, entry in corpus.entries.items() if entry.answers}
    documents = {id: Text(chunk.title, chunk.text) for id, chunk in citable.items()}
    asked = {row["id"]: row["question"] for row in rows}
    return golden("book", documents, asked, {row["id"]: dict.fromkeys(row["anchors"], 1) for row in rows})


def book_stages(
    corpus: Any, depth: int = 30, dense: bool = True, rerank: Rerank | None = None
) -> dict[str, Rank]:
    """What the question box does, stage by stage; and with a cross-encoder what that makes of the fused
    ranking. dense: False where there is no embedder."""

    def lexical(text: str) -> Ranking:
        return list(corpus.text.match(retrieve.subject(text), depth, ("paragraph",), citable=True))

    def near(text: str) -> Ranking:
        return list(corpus.dense.search(corpus.embed(text), depth, ("paragraph",), citable=True))

    def fused(text: str) -> list[str]:
        return [hit.chunk.id for hit in retrieve.fused(lexical(text), near(text), corpus.entries)]

    def shipped(text: str) -> list[str]:
        return [hit.chunk.id for hit in corpus.retrieve(text, depth, ("paragraph",), citable=True)]

    def crossed(text: str) -> list[str]:
        hits = retrieve.fused(lexical(text), near(text), corpus.entries)
        rows = [
            Row(hit.chunk.id, "", hit.chunk.text, 0, len(hit.chunk.text), hit.chunk.title) for hit in hits
        ]
        first = [Found(row, hit.score) for row, hit in zip(rows, hits, strict=True)]
        ordered = [*rerank(text, first[:POOL]), *first[POOL:]] if rerank else first
        return [one.row.id for one in ordered]

    words: dict[str, Rank] = {"BM25": lambda text: [id for id, _ in lexical(text)]}
    meaning: dict[str, Rank] = {
        "dense": lambda text: [id for id, _ in near(text)],
        "hybrid": fused,
        "hybrid + rerank": shipped,
        **({"hybrid + cross-encoder": crossed} if rerank else {}),
    }
    return {**words, **meaning} if dense else words
