"""Stage 9, the other half: does a passage carry a sentence that a model wrote?

Four checks that are cheap and can each only say no: the sentence is near the passage or one of its sentences
by the retrieval model's cosine; enough of its words, weighted by how telling they are, are in the passage or
the question; every figure that it states is there too; and it is negated only where the passage is. A
sentence that passes them can still be wrong: this is similarity, not entailment. Of a passage only what is
evidence counts: sentences that give orders to a model carry nothing, so a model that obeys them is caught.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handbook.rag.evidence import Passage, Terms
from handbook.rag.rerank import coverage
from handbook.rag.text import words
from handbook.records import Citation, Sentence

Vectors = NDArray[np.float32]

CLOSE = 0.05  # of cosine; sentences that much less near than the nearest may be what is meant
ALIKE = 0.75  # cosine from which a sentence says what another does, but for a "not"

STUTTER_FROM = 16  # words
STUTTER_SHARE = 0.4  # of words that are new; prose has more than twice as many

_CITATION = re.compile(r"\s*\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ADDRESS = re.compile(r"\b(?:https?://|www\.)[^\s<>()\[\]\"']+|\b[\w.+-]+@[\w-]+\.\w+", re.IGNORECASE)
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|neither|nor|without|cannot)\b|n['\u2019]t\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Carried:
    """How well a passage carries a sentence. cosine: -1 to 1. words: share of the sentence's weight, 0 to 1.

    consistent: it does not stutter, every figure and address is there, negation has its counterpart, and no
    word of it is from an order alone.
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


def addresses_of(text: str) -> set[str]:
    """Links and e-mail addresses in a text: where a reader would be led to."""
    return {found.rstrip(".,;:!?").lower() for found in _ADDRESS.findall(text)}


def stutters(text: str) -> bool:
    """Whether a sentence says few words over and over, as a model does that is caught in a loop."""
    said = words(text)
    return len(said) >= STUTTER_FROM and len(set(said)) < STUTTER_SHARE * len(said)


def carried(
    passage: Passage,
    terms: Terms,
    sentence: str,
    vector: Vectors,
    question: str,
    ordered: Collection[str] = (),
) -> Carried:
    """The sentence (and its unit vector, [D]) against a passage, in the context of the question.

    ordered: stems that orders in any passage have. A sentence with one that the evidence lacks has it from
    there.
    """
    if not passage.sound:
        return Carried(0.0, 0.0, False)
    told = f"{question} {passage.said}"
    stems = frozenset(terms.stems(told))
    consistent = numbers_of(sentence) <= numbers_of(told) and addresses_of(sentence) <= addresses_of(told)
    consistent = consistent and not stutters(sentence) and not denies(passage, sentence, vector)
    consistent = consistent and not any(
        stem in ordered and stem not in stems for stem in terms.stems(sentence)
    )
    cosine = float((passage.evidence @ vector).max())
    return Carried(cosine, coverage(terms.weights(sentence), stems), consistent)


def denies(passage: Passage, sentence: str, vector: Vectors) -> bool:
    """Whether a sentence is negated and what it is nearest to is not, or the other way round. What is about
    as near may be meant as well, so it has to differ from all of that.
    """
    cosines = passage.vectors[[1 + number for number in passage.sound]] @ vector
    nearest = float(cosines.max())
    close = [
        passage.texts[number]
        for number, cosine in zip(passage.sound, cosines, strict=True)
        if cosine >= nearest - CLOSE
    ]
    if negated(sentence):
        return not any(negated(text) for text in close)
    return nearest >= ALIKE and all(negated(text) for text in close)


def check(
    passages: Sequence[Passage],
    terms: Terms,
    text: str,
    vector: Vectors,
    question: str,
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
    if not plain or plain.endswith("?") or not passages:
        return Sentence(plain, (), supported=False)
    orders = " ".join(passage.texts[i] for passage in passages for i in passage.orders)
    ordered = frozenset(terms.stems(orders))
    found = [carried(passage, terms, plain, vector, question, ordered) for passage in passages]
    exist = [n - 1 for n in numbers if 1 <= n <= len(passages)]
    nearest = max(range(len(passages)), key=lambda i: (found[i].enough(*least), found[i].cosine))
    rests_on = exist if numbers else [nearest]
    supported = len(exist) == len(numbers) and any(found[i].enough(*least) for i in rests_on)
    shown = rests_on if numbers or supported else []
    return Sentence(plain, tuple(Citation(passages[i].chunk, found[i].cosine) for i in shown), supported)
