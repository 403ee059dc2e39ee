"""What graders see of a graded answer, as numbers: the features that a score is fitted on.

Baselines see one thing each: the length, shared words, one cosine. The grader sees what `handbook.practice`
makes of the answer, the reference's statements being its criteria, and the same cosines and words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from _graded import Answered, as_question
from numpy.typing import NDArray

from handbook.rag.text import words

if TYPE_CHECKING:
    from handbook.embed import Embedder

Numbers = NDArray[np.float64]
Progress = Callable[[int, int], None]
MET = 0.6  # cosine of two tokens that say about the same


def lengths(rows: Sequence[Answered]) -> Numbers:
    """[N, 2]: words of the answer, and their logarithm."""
    counts = np.array([len(words(row.answer)) for row in rows], float)
    return np.column_stack([counts, np.log1p(counts)])


def shared(rows: Sequence[Answered]) -> Numbers:
    """[N, 5]: words that answer and reference share, as shares of either, of both and of what the question
    does not say already; and how much of the answer is the question."""
    return np.array([_shared(row) for row in rows], float)


def _shared(row: Answered) -> list[float]:
    given, wanted, asked = (set(words(each)) for each in (row.answer, row.reference, row.question))
    both, new = given & wanted, wanted - asked
    return [
        len(both) / max(1, len(wanted)),
        len(both) / max(1, len(given)),
        len(both) / max(1, len(given | wanted)),
        len(given & new) / max(1, len(new)),
        len(given & asked) / max(1, len(given)),
    ]


def cosines(rows: Sequence[Answered], embedder: Embedder) -> Numbers:
    """[N, 3]: of answer and reference, of answer and question, and their difference."""
    given, wanted, asked = (
        embedder.embed([getattr(row, name) or " " for row in rows])
        for name in ("answer", "reference", "question")
    )
    near, echo = (given * wanted).sum(axis=1), (given * asked).sum(axis=1)
    return np.column_stack([near, echo, near - echo]).astype(float)


def aligned(rows: Sequence[Answered], embedder: Any) -> Numbers:
    """[N, 8]: how near each token of the reference comes to one of the answer (mean, least, lower quarter),
    each of the answer to one of the reference (mean), both means without the question's own words, the share
    of the reference's other words that is met by more than `MET`, and of the answer that is not the question.

    Alignment of words with the question's own taken out: Sultan, Salazar and Sumner 2016 (NAACL, "Fast and
    Easy Short Answer Grading with High Accuracy"), sections 2.1 and 2.2; here by cosines of token vectors.
    """

    @lru_cache(maxsize=4000)
    def tokens(text: str) -> tuple[list[str], NDArray[np.float32]]:
        places, found = embedder.token_vectors(text)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return [text[a:b].lower() for a, b in places][1:-1], (found / np.maximum(lengths, 1e-9))[1:-1]

    return np.array([_aligned(*(tokens(text) for text in (r.answer, r.reference, r.question))) for r in rows])


def _aligned(given: Any, wanted: Any, asked: Any) -> list[float]:
    (said, one), (right, two), (question, _) = given, wanted, asked
    if not len(one) or not len(two):
        return [0.0] * 8
    cosines = two @ one.T
    recall, precision = cosines.max(axis=1), cosines.max(axis=0)
    new = np.array([each not in question for each in right])
    own = np.array([each not in question for each in said])
    if not new.any():
        new[:] = True
    return [
        float(recall.mean()),
        float(precision.mean()),
        float(recall.min()),
        float(np.quantile(recall, 0.25)),
        float(recall[new].mean()),
        float(precision[own].mean()) if own.any() else 0.0,
        float((recall > MET)[new].mean()),
        float(own.mean()),
    ]


def vectors(rows: Sequence[Answered], embedder: Embedder) -> Numbers:
    """[N, 2 D]: where the vectors of answer and reference differ, and their product, dimension by dimension
    (Conneau et al. 2017, arXiv:1705.02364, section 3.1)."""
    given, wanted = (
        embedder.embed([getattr(row, name) or " " for row in rows]).astype(float)
        for name in ("answer", "reference")
    )
    return np.column_stack([np.abs(given - wanted), given * wanted])


def judged(rows: Sequence[Answered], grader: Any, progress: Progress | None = None) -> Numbers:
    """[N, 6]: of the probabilities that the reference's statements are met, the mean, least, greatest and
    the share over a half; the share of yes; and whether there was something to note."""
    from handbook.practice.grade import grade

    found = []
    for place, row in enumerate(rows):
        given = grade(as_question(row), row.answer, grader)
        met = [each.met for each in given.judgements]
        yes = [each.verdict == "yes" for each in given.judgements]
        found.append(
            [
                float(np.mean(met)),
                min(met),
                max(met),
                float(np.mean([each > 0.5 for each in met])),
                float(np.mean(yes)),
                float(bool(given.notes)),
            ]
        )
        if progress:
            progress(place + 1, len(rows))
    return np.array(found, float)
