"""What a grader is, and what it hands on. `handbook.practice.grade` checks it and makes a Grade of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from handbook.records import Recognised, Verdict

if TYPE_CHECKING:
    from handbook.practice.evidence import Reading


@dataclass(frozen=True, slots=True)
class Found:
    """Of one criterion. start, end: the quote's place in the answer, -1 without one. met: probability that
    the criterion is met. confidence: that the verdict is right."""

    criterion: str
    verdict: Verdict
    met: float = 0.5
    confidence: float = 0.0
    start: int = -1
    end: int = -1
    why: str = ""


@dataclass(frozen=True, slots=True)
class Opinion:
    """A criterion that is missing in found counts as unclear."""

    found: tuple[Found, ...]
    mistakes: tuple[Recognised, ...] = ()
    notes: tuple[str, ...] = ()


class Grader(Protocol):
    """Judges an answer that has been read. Raises HandbookError where its model can't be had, never for what
    an answer holds."""

    @property
    def name(self) -> str: ...

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO codes of those that it reads; empty for any."""
        ...

    def warm(self) -> None:
        """Load what judging needs; the second time quick."""
        ...

    def judge(self, reading: Reading) -> Opinion: ...
