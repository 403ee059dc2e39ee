"""Stage 9, the other half: does a passage carry a sentence that a model wrote?

Four checks that are cheap and can each only say no: the sentence is near the passage or one of its sentences
by the retrieval model's cosine; enough of its words, weighted by how telling they are, are in the passage or
the question; every figure that it states is there too; and it is negated only where the passage is. A
sentence that passes them can still be wrong: this is similarity, not entailment.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handbook.rag.own import Corpus
from handbook.rag.rerank import coverage
from handbook.rag.text import words
from handbook.records import Citation, Hit, Sentence

Vectors = NDArray[np.float32]

STUTTER_FROM = 16  # words
STUTTER_SHARE = 0.4  # of words that are new; prose has more than twice as many

_CITATION = re.compile(r"\s*\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|neither|nor|without|cannot)\b|n['\u2019]t\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Carried:
    """How well a passage carries a sentence. cosine: -1 to 1. words: share of the sentence's weight, 0 to 1.

    consistent: it does not stutter, every figure is there, and negation has its counterpart.
    """

    cosine: float
    words: float
    consistent: bool

    def enough(self, cosine: float, words: float) -> bool:
        return self.consistent and self.cosine >= cosine and self.words >= words


def cited(text: str) -> tuple[str, list[int]]:
    """A sentence without its `[n]` marks, and the numbers that they held, in order, each once."""
    numbers = [int(n) for group in _CITATION.findall(text) for n in group.split(",")]
    return _CITATION.sub("", text).strip(), list(dict.fromkeys(numbers))


def numbers_of(text: str) -> set[str]:
    """The numbers in a text, thousands separators removed. Figures are where a fluent model invents first."""
    return {number.replace(",", "") for number in _NUMBER.findall(text)}


def negated(text: str) -> bool:
    return bool(_NEGATION.search(text))


def stutters(text: str) -> bool:
    """Whether a sentence says few words over and over, as a model does that is caught in a loop."""
    said = words(text)
    return len(said) >= STUTTER_FROM and len(set(said)) < STUTTER_SHARE * len(said)


def carried(corpus: Corpus, sentence: str, vector: Vectors, question: str, id: str) -> Carried:
    """The sentence (and its unit vector) against the passage `id`, in the context of the question."""
    entry = corpus.entries[id]
    cosines = corpus.dense.passage_vectors(id) @ vector
    told = f"{question} {entry.headed}"
    stems = frozenset(corpus.vocabulary.stems(told))
    consistent = numbers_of(sentence) <= numbers_of(told) and (not negated(sentence) or negated(told))
    consistent = consistent and not stutters(sentence)
    return Carried(float(cosines.max()), coverage(corpus.vocabulary.weights(sentence), stems), consistent)


def check(
    corpus: Corpus,
    text: str,
    vector: Vectors,
    question: str,
    hits: Sequence[Hit],
    least: tuple[float, float],
) -> Sentence:
    """A written sentence against the passages that it was to be written from (cited as 1, 2, ...).

    Supported: each number cited is a passage, and one of those cited carries it; where none is cited, the
    nearest does, and becomes the citation.

    Args:
        vector: of the text without its citations.
        least: cosine and share of words from which a passage carries it.
    """
    plain, numbers = cited(text)
    if not plain or plain.endswith("?") or not hits:
        return Sentence(plain, (), supported=False)
    found = [carried(corpus, plain, vector, question, hit.chunk.id) for hit in hits]
    exist = [n - 1 for n in numbers if 1 <= n <= len(hits)]
    nearest = max(range(len(hits)), key=lambda i: (found[i].enough(*least), found[i].cosine))
    rests_on = exist if numbers else [nearest]
    supported = len(exist) == len(numbers) and any(found[i].enough(*least) for i in rests_on)
    shown = rests_on if numbers or supported else []
    return Sentence(plain, tuple(Citation(hits[i].chunk, found[i].cosine) for i in shown), supported)
