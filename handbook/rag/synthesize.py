"""Stage 9, synthesize: from passages to an answer made of their own sentences, and checks on sentences that a
model wrote.

Pure functions: vectors and texts in, choices out. What a model wrote is checked in `support`.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handbook.rag.evidence import Passage, speaks, unmarked
from handbook.records import Citation, Sentence

Vectors = NDArray[np.float32]

PASSAGES = 3  # best passages that sentences are taken from
SENTENCES = 4  # at most so many in an extractive answer
NEAR = 0.75  # a further sentence is kept if its score is at least so much of the best one's
SAME = 0.9  # two sentences with a cosine above this say the same
FIRST_RANK = (
    0.1  # what a sentence of the first passage is given; half of it in the second, a third in the third
)
LEAD = 0.1  # what a passage's first sentence is given: it says the point
DANGLING = 0.1  # what a sentence is charged that leans on one before it

_POINTS = re.compile(r"Write it yourself\b")  # to an exercise, and says nothing
_LEANS = re.compile(r"(It|Its|They|Their|This|That|These|Those|But|And|So|Therefore|Then|Hence|Now|Both)\b")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that could be part of the answer. place: where it is read: the passage's order, then the
    sentence in the passage.
    """

    passage: int
    place: tuple[int, ...]
    text: str
    vector: Vectors
    score: float


def worth(cosine: float, passage: float, rank: int, place: int, text: str) -> float:
    """How good a sentence would be in the answer. The sizes of the parts were measured on the dev set.

    Args:
        cosine: of the sentence to the question. passage: score of its passage, on the same scale.
        rank: of its passage, from 0. place: in its passage, from 0.
    """
    score = (cosine + passage) / 2 + FIRST_RANK / (1 + rank)
    return score + (LEAD if place == 0 else 0.0) - (DANGLING if _LEANS.match(text) else 0.0)


def pick(candidates: Sequence[Candidate], limit: int = SENTENCES) -> list[Candidate]:
    """The sentences that answer best, without near-duplicates, in reading order.

    Greedy by score; what is far behind the best is left out, so an answer is as short as the passages allow.
    """
    chosen: list[Candidate] = []
    ranked = sorted(candidates, key=lambda candidate: -candidate.score)
    for candidate in ranked:
        if len(chosen) == limit or candidate.score < NEAR * ranked[0].score:
            break
        if all(float(candidate.vector @ other.vector) < SAME for other in chosen):
            chosen.append(candidate)
    return sorted(chosen, key=lambda candidate: candidate.place)


def extract(question: Vectors, passages: Sequence[Passage], near: Sequence[float]) -> tuple[Sentence, ...]:
    """The sentences of the best passages that answer a question, each with its citation.

    Args:
        question: its unit vector, [D].
        passages: best first. near: how near each is to the question, -1 to 1.
    """
    candidates = []
    for rank, (passage, score) in enumerate(zip(passages[:PASSAGES], near[:PASSAGES], strict=True)):
        for number in passage.sound:
            text, vector = passage.texts[number], passage.vectors[1 + number]
            if not _answers(text, passage):
                continue
            text = unmarked(text) if passage.chunk.kind == "document" else text
            merit = worth(float(vector @ question), score, rank, number, text)
            candidates.append(Candidate(rank, (*passage.order, number), text, vector, merit))
    return tuple(
        Sentence(c.text, (Citation(passages[c.passage].chunk, float(c.vector @ question)),), supported=True)
        for c in pick(candidates)
    )


def _answers(text: str, passage: Passage) -> bool:
    """Not what a text asks, where it points, and what stands over a document's sentences."""
    if text.endswith("?") or _POINTS.match(text):
        return False
    return passage.chunk.kind != "document" or speaks(text)
