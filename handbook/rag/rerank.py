"""Stage 8, rerank: the first few passages in a better order, by a look at each together with the question.

No model of its own yet: four shares of the same size are added, none of them fitted. Two cosines (the whole
passage, its nearest sentence) say how close the meaning is; two coverages (of the question's words, weighted
by how telling they are, in the passage and in one sentence) say how much of what was asked is there at all,
however often and in however long a text. An interview question that the passage answers counts as one of
its sentences if the reader asks nearly the same; one that is only near would draw its passage up too often.
The rank by fusion chooses the passages and takes no part in their order.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from handbook.rag.passages import Entry
from handbook.rag.retrieve import DenseIndex, subject
from handbook.rag.text import Vocabulary
from handbook.records import Hit

POOL = 20  # passages that are looked at
SAME_QUESTION = 0.75  # cosine from which two questions ask the same


def coverage(weights: Mapping[str, float], found: Container[str]) -> float:
    """Share of the weight of the question's stems that a text has, 0 to 1; 0 where the question has none."""
    total = sum(weights.values())
    return sum(weight for stem, weight in weights.items() if stem in found) / total if total else 0.0


class Reranker:
    """Orders passages. Thread-safe: what it remembers of a passage is the same whoever works it out."""

    def __init__(self, entries: Mapping[str, Entry], dense: DenseIndex, vocabulary: Vocabulary) -> None:
        self._entries = entries
        self._dense = dense
        self._vocabulary = vocabulary
        self._stems: dict[str, tuple[frozenset[str], ...]] = {}

    def __call__(self, question: str, vector: NDArray[np.float32], hits: Sequence[Hit]) -> list[Hit]:
        """The hits, best first, their scores replaced. Each needs vectors (code has none)."""
        weights = self._vocabulary.weights(subject(question))
        scored = [replace(hit, score=self._score(weights, vector, hit.chunk.id)) for hit in hits]
        return sorted(scored, key=lambda hit: -hit.score)

    def _score(self, weights: Mapping[str, float], vector: NDArray[np.float32], id: str) -> float:
        entry = self._entries[id]
        whole, *sentences = self._dense.passage_vectors(id) @ vector
        asked = self._dense.question_vectors(id) @ vector
        covered = [coverage(weights, stems) for stems in self._stems_of(entry)]
        of_sentences, of_asks = covered[1 : 1 + len(entry.sentences)], covered[1 + len(entry.sentences) :]
        same = [i for i, cosine in enumerate(asked) if cosine >= SAME_QUESTION]
        nearest = max([*sentences, *(asked[i] for i in same)], default=whole)
        fullest = max([*of_sentences, *(of_asks[i] for i in same)], default=covered[0])
        return float(whole + nearest) + covered[0] + fullest

    def _stems_of(self, entry: Entry) -> tuple[frozenset[str], ...]:
        """Stems of the passage with its title, of each of its sentences, of each question that it answers."""
        if entry.chunk.id not in self._stems:
            texts = (entry.headed, *entry.sentences, *entry.asks)
            self._stems[entry.chunk.id] = tuple(frozenset(self._vocabulary.stems(text)) for text in texts)
        return self._stems[entry.chunk.id]
