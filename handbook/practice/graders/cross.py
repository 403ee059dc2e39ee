"""Judges by a cross-encoder that reads a piece of the answer together with a criterion's statement.

Vectors choose what is worth reading together: for each criterion the few pieces that lie nearest. What the
encoder says of those pairs (says it, is silent on it, denies it: three logits) joins the countable signals,
and the calibrated whole decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from handbook.practice.calibration import Calibration
from handbook.practice.evidence import Reading
from handbook.practice.forms import FORMS
from handbook.practice.graders.embedding import MISTAKES, EmbeddingGrader, mistakes
from handbook.practice.graders.local import Numbers, Seen
from handbook.practice.signals import NAMES

if TYPE_CHECKING:
    from handbook.embed import Embedder

LOOKED_AT = 3  # pieces for each criterion
OF_MISTAKES = 2  # pieces for each misconception
LEAST = -12.0  # log probability that counts as none
SILENT = -6.0  # log probability of what was not asked
# says, against: log probability that the piece says the criterion, and that it denies it. ahead: says, less
# that of the question's likeliest other criterion. mistaken: that it says one of the misconceptions.
PAIR = ("says", "against", "ahead", "mistaken")


class Entailer(Protocol):
    def scores(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """(premise, statement) -> [N, 3], logits of: says it, is silent on it, denies it."""
        ...


class CrossGrader(EmbeddingGrader):
    """Safe to use from several threads, as its entailer is."""

    name = "local"
    names = (*NAMES, *FORMS, *PAIR)
    mistake_names = (*MISTAKES, "says", "corrects")

    def __init__(
        self, embedder: Embedder, entailer: Entailer, calibration: Calibration | None = None
    ) -> None:
        super().__init__(embedder, calibration)
        self.entailer = entailer

    def warm(self) -> None:
        super().warm()
        self.entailer.scores([("warm", "warm")])

    def seen(self, reading: Reading) -> Seen:
        pieces, vectors = self.sound(reading)
        side = self.sides.of(reading.question)
        met = self.told(reading, side, pieces, vectors)
        wrong = mistakes(side, pieces, vectors)
        chosen = _nearest(met[:, :, 0] + met[:, :, 1], LOOKED_AT)
        suspected = _nearest(wrong[:, :, 0], OF_MISTAKES)
        asked = [(pieces[column].text, side.statements[row]) for row, column in chosen]
        asked += [
            (pieces[column].text, text)
            for row, column in suspected
            for text in (side.wrong[row], side.right[row])
        ]
        logits = self.entailer.scores(asked) if asked else np.zeros((0, 3), np.float32)
        about = _chances(logits[len(chosen) :])[:, 0].reshape(-1, 2)
        made = np.full(len(pieces), SILENT, np.float32)
        for (_, column), (says, _corrects) in zip(suspected, about, strict=True):
            made[column] = max(made[column], says)
        table, denied = _joined(met, chosen, logits[: len(chosen)], made)
        return Seen(pieces, table, _widened(wrong, suspected, about), denied)


def _nearest(near: Numbers, count: int) -> list[tuple[int, int]]:
    """(row, column) of the greatest of each row."""
    return [
        (row, int(column))
        for row in range(near.shape[0])
        for column in np.argsort(-near[row], kind="stable")[:count]
    ]


def _chances(logits: Numbers) -> Numbers:
    """[N, 3] -> [N, 3]: log probability of each class, no lower than LEAST."""
    top = logits.max(axis=1, keepdims=True, initial=-1e9)
    total = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    chances: Numbers = np.maximum(logits - total, LEAST).astype(np.float32)
    return chances


def _joined(
    met: Numbers, chosen: Sequence[tuple[int, int]], logits: Numbers, made: Numbers
) -> tuple[Numbers, Numbers]:
    """Signals with the encoder's, NaN where it did not look; and [C, P], how likely a piece denies it.

    made: [P] log probability that a piece says one of the known mistakes.
    """
    chances = _chances(logits)
    says = np.full(met.shape[:2], SILENT, np.float32)
    for (row, column), chance in zip(chosen, chances, strict=True):
        says[row, column] = chance[0]
    table = np.full((*met.shape[:2], met.shape[2] + len(PAIR)), np.nan, np.float32)
    denied = np.zeros(met.shape[:2], np.float32)
    for (row, column), chance in zip(chosen, chances, strict=True):
        others = np.delete(says[:, column], row).max(initial=SILENT)
        table[row, column] = [*met[row, column], chance[0], chance[2], chance[0] - others, made[column]]
        denied[row, column] = np.exp(chance[2])
    return table, denied


def _widened(wrong: Numbers, suspected: Sequence[tuple[int, int]], about: Numbers) -> Numbers:
    table = np.full((*wrong.shape[:2], wrong.shape[2] + 2), np.nan, np.float32)
    for (row, column), margins in zip(suspected, about, strict=True):
        table[row, column] = [*wrong[row, column], *margins]
    return table
