"""Judges by sentence vectors and by what can be counted: the baseline, and the first look of the other one.

Vectors tell what a sentence is about and hardly whether it affirms it, so this grader abstains often.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from handbook.practice.calibration import Calibration, fitted
from handbook.practice.evidence import Reading, content
from handbook.practice.forms import FORMS, forms
from handbook.practice.graders.local import Numbers, Seen, opinion
from handbook.practice.opinions import Opinion
from handbook.practice.pieces import Piece
from handbook.practice.signals import NAMES, Held, Sides, signals

if TYPE_CHECKING:
    from handbook.embed import Embedder

MISTAKES = ("near", "gap", "words", "ahead")


class EmbeddingGrader:
    """calibration: by default what ships. Safe to use from several threads."""

    name = "embedding"
    languages = ("en",)
    names: tuple[str, ...] = (*NAMES, *FORMS)
    mistake_names: tuple[str, ...] = MISTAKES

    def __init__(self, embedder: Embedder, calibration: Calibration | None = None) -> None:
        self.sides = Sides(embedder)
        self._calibration = calibration

    @property
    def calibration(self) -> Calibration:
        """Its weights in the order of the signals. Raises ModelFileError where it was fitted to others."""
        found = self._calibration or fitted(self.name)
        mistakes = found.mistakes.aligned(self.mistake_names) if found.mistakes else None
        return replace(found, met=found.met.aligned(self.names), mistakes=mistakes)

    def warm(self) -> None:
        self.sides.embedder.embed(["warm"])

    def judge(self, reading: Reading) -> Opinion:
        return opinion(reading, self.seen(reading), self.calibration)

    def seen(self, reading: Reading) -> Seen:
        pieces, vectors = self.sound(reading)
        side = self.sides.of(reading.question)
        return Seen(pieces, self.told(reading, side, pieces, vectors), mistakes(side, pieces, vectors))

    def told(self, reading: Reading, side: Held, pieces: tuple[Piece, ...], vectors: Numbers) -> Numbers:
        """[C, P, NAMES and FORMS]: what can be reckoned without a model that reads two texts together."""
        met = signals(side, [each.text for each in pieces], vectors)
        said = np.broadcast_to(forms(reading, pieces), (len(met), len(pieces), len(FORMS)))
        return np.concatenate([met, said], axis=2)

    def sound(self, reading: Reading) -> tuple[tuple[Piece, ...], Numbers]:
        """The pieces that can be evidence, and their vectors."""
        pieces = tuple(each for each in reading.pieces if reading.carries(each.start, each.end))
        texts = list(dict.fromkeys(each.text for each in pieces))
        if not texts:
            return (), np.zeros((0, self.sides.embedder.dimension), np.float32)
        place = {text: number for number, text in enumerate(texts)}
        return pieces, self.sides.embedder.embed(texts)[[place[each.text] for each in pieces]]


def mistakes(side: Held, pieces: tuple[Piece, ...], vectors: Numbers) -> Numbers:
    """[M, P, MISTAKES]: near, the cosine with what is wrong; gap, how much nearer that is than what is right;
    words that the two share; ahead, how much nearer than any criterion."""
    count = len(side.wrong)
    out = np.zeros((count, len(pieces), len(MISTAKES)), np.float32)
    if not count or not pieces:
        return out
    near = side.of_wrong @ vectors.T
    right = side.of_right @ vectors.T
    best = (side.of_statements @ vectors.T).max(axis=0)
    stems = [set(content(each.text)) for each in pieces]
    for row in range(count):
        own = set(content(side.wrong[row]))
        out[row, :, 0], out[row, :, 1], out[row, :, 3] = near[row], near[row] - right[row], near[row] - best
        out[row, :, 2] = [len(own & each) / max(1, len(own)) for each in stems]
    return out
