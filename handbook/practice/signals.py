"""What can be reckoned about a piece of an answer and a criterion: the numbers that a verdict is made of.

near       cosine of the piece and the criterion's statement (sentence vectors)
model      cosine of the piece and the sentence of the model answer that is nearest to the criterion
lead       near, less the cosine of the piece with the question's nearest other criterion: a sentence that
           meets a neighbour lies nearer to that one
mistake    cosine with the nearest misconception of the question, less near
words      share of the statement's own words (those that the question does not hold) that the piece has
figures    share of the statement's figures that the piece has; 0 where it names none
others     1 where the statement has figures and the piece has other ones alone
denies     1 where one of them has a negation and the other has none
length     words of the piece, as a logarithm
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handbook.practice.evidence import content
from handbook.practice.figures import Wanted, agreement, wanted
from handbook.practice.statements import statement
from handbook.rag.sentences import split
from handbook.records import Question

if TYPE_CHECKING:
    from handbook.embed import Embedder

NAMES = ("near", "model", "lead", "mistake", "words", "figures", "others", "denies", "length")
KEPT = 64  # questions whose vectors are remembered
Numbers = NDArray[np.float32]

_DENIAL = re.compile(
    r"\b(?:no|not|never|none|nor|neither|cannot|without|nothing|hardly|instead of|rather than|\w+n't)\b", re.I
)


@dataclass(frozen=True, slots=True)
class Held:
    """A question's side of it: texts and their vectors, reckoned once.

    statements: by criterion. model: sentences of the model answer. wrong, right: by misconception.
    nearest: for each criterion the number of its sentence in the model answer, -1 without one.
    """

    statements: tuple[str, ...]
    model: tuple[str, ...]
    wrong: tuple[str, ...]
    right: tuple[str, ...]
    of_statements: Numbers  # [C, D]
    of_model: Numbers  # [S, D]
    of_wrong: Numbers  # [M, D]
    of_right: Numbers  # [M, D]
    nearest: tuple[int, ...]
    own: tuple[frozenset[str], ...]
    figures: tuple[Wanted, ...]
    denied: tuple[bool, ...]


class Sides:
    """Remembers the question's side for the questions asked last."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._kept: OrderedDict[tuple[object, ...], Held] = OrderedDict()

    def of(self, question: Question) -> Held:
        key = (question.id, question.answer, question.criteria, question.misconceptions)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = held(question, self.embedder)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


def held(question: Question, embedder: Embedder) -> Held:
    statements = tuple(statement(each.yes) or each.id for each in question.criteria)
    model = tuple(split(" ".join(question.answer.split())))
    wrong = tuple(each.wrong for each in question.misconceptions)
    right = tuple(each.correction for each in question.misconceptions)
    vectors = embedder.embed([*statements, *model, *wrong, *right])
    cut, end = len(statements), len(statements) + len(model)
    near = vectors[:cut] @ vectors[cut:end].T
    asked = set(content(question.prompt))
    return Held(
        statements,
        model,
        wrong,
        right,
        vectors[:cut],
        vectors[cut:end],
        vectors[end : end + len(wrong)],
        vectors[end + len(wrong) :],
        tuple(int(row.argmax()) if len(row) else -1 for row in near),
        tuple(frozenset(content(each)) - asked or frozenset(content(each)) for each in statements),
        tuple(wanted(each) for each in statements),
        tuple(bool(_DENIAL.search(each)) for each in statements),
    )


def signals(side: Held, pieces: Sequence[str], vectors: Numbers) -> Numbers:
    """[P] pieces with their vectors [P, D] -> [C, P, NAMES], the criteria in order."""
    near = side.of_statements @ vectors.T  # [C, P]
    criteria, count = near.shape
    out = np.zeros((criteria, count, len(NAMES)), np.float32)
    model = side.of_model @ vectors.T
    mistake = (side.of_wrong @ vectors.T).max(axis=0) if len(side.of_wrong) else np.zeros(count)
    stems = [set(content(piece)) for piece in pieces]
    denies = [bool(_DENIAL.search(piece)) for piece in pieces]
    lengths = [math.log1p(len(piece.split())) for piece in pieces]
    for row in range(criteria):
        others = np.delete(near, row, axis=0)
        out[row, :, 0] = near[row]
        out[row, :, 1] = model[side.nearest[row]] if side.nearest[row] >= 0 else near[row]
        out[row, :, 2] = near[row] - (others.max(axis=0) if len(others) else 0.0)
        out[row, :, 3] = mistake - near[row] if len(side.of_wrong) else 0.0
        for column, piece in enumerate(pieces):
            own = side.own[row]
            share, has = agreement(side.figures[row], piece)
            out[row, column, 4:] = (
                len(own & stems[column]) / max(1, len(own)),
                share,
                float(bool(side.figures[row].main) and has and not share),
                float(denies[column] != side.denied[row]),
                lengths[column],
            )
    return out
