"""Verdicts from tables of signals: what the two graders without a chat model have in common.

The best piece speaks for a criterion. Its probability is calibrated (handbook.practice.calibration); a yes
needs one over a threshold, a no one below another, and between them the person is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handbook.practice.calibration import Calibration
from handbook.practice.evidence import Reading
from handbook.practice.opinions import Found, Opinion
from handbook.practice.pieces import Piece
from handbook.records import Recognised, Verdict

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a grader saw of an answer. NaN in the first column: that pair was not looked at.

    met: [C criteria, P pieces, F signals]. denied: [C, P] probability of a contradiction, or None where the
    grader can't tell. mistakes: [M misconceptions, P, G signals].
    """

    pieces: tuple[Piece, ...]
    met: Numbers
    mistakes: Numbers
    denied: Numbers | None = None


def opinion(reading: Reading, seen: Seen, calibration: Calibration) -> Opinion:
    chances = _chances(seen.met, calibration.met.of)
    mistakes = _mistakes(seen, calibration)
    found = []
    for row, criterion in enumerate(reading.question.criteria):
        column = int(chances[row].argmax()) if chances.shape[1] else -1
        if column < 0 or chances[row, column] < 0:
            found.append(Found(criterion.id, "no", 0.0, 0.9, why="No sentence is about it."))
            continue
        piece, met = seen.pieces[column], float(chances[row, column])
        verdict: Verdict = "yes" if met >= calibration.yes else "no" if met <= calibration.no else "unclear"
        one = Found(criterion.id, verdict, met, max(met, 1 - met), piece.start, piece.end, _WHY[verdict])
        found.append(_doubted(one, row, seen, mistakes, calibration, criterion.must))
    return Opinion(tuple(found), tuple(mistakes))


_WHY = {
    "yes": "",
    "no": "No sentence says it.",
    "unclear": "It may be meant here; the grader is not sure.",
}


def _doubted(
    one: Found,
    row: int,
    seen: Seen,
    mistakes: list[Recognised],
    calibration: Calibration,
    must: bool,
) -> Found:
    """A yes is taken back where the answer denies the same elsewhere, or where its quote is a mistake."""
    if one.verdict != "yes":
        return one
    if seen.denied is not None:
        column = int(seen.denied[row].argmax())
        against = float(seen.denied[row, column])
        piece = seen.pieces[column]
        apart = piece.end <= one.start or piece.start >= one.end
        if against >= calibration.denied and apart:
            verdict: Verdict = "no" if must else "unclear"
            return Found(
                one.criterion, verdict, 1 - against, against, piece.start, piece.end,
                "It is said, and denied elsewhere in the answer.",
            )  # fmt: skip
    for mistake in mistakes:
        overlap = min(one.end, mistake.end) - max(one.start, mistake.start)
        if overlap > 0 and mistake.confidence > one.met:
            return Found(
                one.criterion, "unclear", 1 - mistake.confidence, 0.5, one.start, one.end,
                "The sentence may be a known mistake.",
            )  # fmt: skip
    return one


def _chances(table: Numbers, probability: object) -> NDArray[np.float64]:
    """[C, P]; -1 where nothing was looked at."""
    assert callable(probability)
    rows, columns = table.shape[:2]
    out = np.full((rows, columns), -1.0)
    for row in range(rows):
        for column in range(columns):
            if not np.isnan(table[row, column, 0]):
                out[row, column] = probability(table[row, column])
    return out


def _mistakes(seen: Seen, calibration: Calibration) -> list[Recognised]:
    """Misconceptions that a piece makes, each with its best piece."""
    if calibration.mistakes is None or not seen.mistakes.size:
        return []
    chances = _chances(seen.mistakes, calibration.mistakes.of)
    found = []
    for number, row in enumerate(chances):
        column = int(row.argmax())
        if row[column] >= calibration.mistake:
            piece = seen.pieces[column]
            found.append(Recognised(number, piece.text, piece.start, piece.end, float(row[column])))
    return found
