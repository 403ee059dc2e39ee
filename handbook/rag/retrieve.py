"""Stage 6, retrieve: which passages are near a question, by words and by meaning.

The dense side is exact: one matrix product over all vectors. For a book that is microseconds; an approximate
index pays from about a hundred thousand vectors on.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from handbook.rag.fuse import reciprocal_rank_fusion
from handbook.rag.passages import Entry
from handbook.records import Hit

Vectors = NDArray[np.float32]

DEPTH = 30  # passages that each retriever hands to fusion
FLATNESS = 10.0  # k of the fusion: below the usual 60, since the rankings are short and their tops mean much

# Words that make a sentence a question and say nothing about its subject; the index's own stop words lack
# them.
ASKING = frozenset(
    {"why", "how", "what", "which", "when", "where", "who", "whom", "whose", "do", "does", "did", "can"}
    | {"could", "would", "should", "is", "are", "explain", "tell", "me"}
)


class DenseIndex:
    """Unit vectors of all passages.

    A passage's score is the mean of two cosines to the query: of the whole, and of the nearest of its parts
    (its sentences and the questions it answers).

    Args:
        entries: the passages.
        vectors: rows for `entry.vectors_of` of each entry, one after the other; [U, D], U the sum of their
            counts. The first of each entry's rows is the whole. Where it is the only one, it counts twice.
    """

    def __init__(self, entries: Sequence[Entry], vectors: Vectors) -> None:
        counts = [len(entry.vectors_of) for entry in entries]
        if sum(counts) != len(vectors) or 0 in counts:
            raise ValueError(f"expected {sum(counts)} vectors, at least one a passage, got {len(vectors)}")
        self._vectors = vectors
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.intp)
        self._entries = entries
        self._place = {entry.chunk.id: i for i, entry in enumerate(entries)}

    def scores(self, query: Vectors) -> Vectors:  # [D] -> [E]
        """Score of each passage, -1 to 1. One that is a single text has its cosine."""
        if not self._entries:
            return np.zeros(0, np.float32)
        cosines = self._vectors @ query
        wholes = cosines[self._starts[:-1]]
        parts = cosines.copy()
        parts[self._starts[:-1][np.diff(self._starts) > 1]] = -1.0  # the whole is no part of itself
        nearest = np.maximum.reduceat(parts, self._starts[:-1])
        means: Vectors = ((wholes + nearest) / 2).astype(np.float32)
        return means

    def search(
        self, query: Vectors, limit: int, kinds: Sequence[str] | None = None, citable: bool = False
    ) -> list[tuple[str, float]]:
        """(id, score), best first. citable: only passages that may answer."""
        scores = self.scores(query)

        def wanted(entry: Entry) -> bool:
            return (kinds is None or entry.chunk.kind in kinds) and (entry.answers or not citable)

        order = (int(i) for i in np.argsort(-scores, kind="stable") if wanted(self._entries[i]))
        return [
            (self._entries[i].chunk.id, float(scores[i])) for i, _ in zip(order, range(limit), strict=False)
        ]

    def sentence_vectors(self, id: str) -> Vectors:  # [S, D]
        """Vectors of a passage's sentences; the passage's own where it is a single sentence or not one that
        answers.
        """
        place = self._place[id]
        start = int(self._starts[place])
        entry = self._entries[place]
        parts = len(entry.sentences) if entry.answers and len(entry.sentences) > 1 else 0
        return self._vectors[start + 1 : start + 1 + parts] if parts else self._vectors[start : start + 1]

    def passage_vectors(self, id: str) -> Vectors:  # [1 + S, D]
        """Vectors of a passage as a whole and of its sentences, without the questions that it answers."""
        rows, asks = self._rows(id)
        return rows[: len(rows) - asks]

    def question_vectors(self, id: str) -> Vectors:  # [A, D]
        """Vectors of the questions that a passage answers."""
        rows, asks = self._rows(id)
        return rows[len(rows) - asks :]

    def _rows(self, id: str) -> tuple[Vectors, int]:
        """All vectors of a passage, and how many of the last are of questions."""
        place = self._place[id]
        return self._vectors[self._starts[place] : self._starts[place + 1]], len(self._entries[place].asks)


def subject(question: str) -> str:
    """The question without the words that only ask; the question itself if nothing is left."""
    kept = [word for word in question.split() if word.lower().strip("?,.!:;'\"") not in ASKING]
    return " ".join(kept) or question


def fused(
    lexical: Sequence[tuple[str, float]],
    dense: Sequence[tuple[str, float]],
    entries: Mapping[str, Entry],
    weights: tuple[float, float] = (1.0, 1.0),
) -> list[Hit]:
    """Both rankings as one, each hit with the scores that brought it. weights: of the lexical and of the
    dense ranking.
    """
    bm25, cosine = dict(lexical), dict(dense)
    ranked = reciprocal_rank_fusion([list(bm25), list(cosine)], FLATNESS, weights)
    return [Hit(entries[id].chunk, score, cosine.get(id), bm25.get(id)) for id, score in ranked]
