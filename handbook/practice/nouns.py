"""What the cards hand on: how a question stands, what is asked, what an answer led to, what was undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from handbook.practice.due import Rating
from handbook.records import Question


@dataclass(frozen=True, slots=True)
class CardState:
    """How the reader stands with a question. buried: ISO day on which it is not asked, or ""."""

    question: str
    card: Mapping[str, Any] = field(default_factory=dict)
    due: datetime | None = None
    lapses: int = 0
    leech: bool = False
    suspended: bool = False
    buried: str = ""

    @property
    def new(self) -> bool:
        return not self.card


@dataclass(frozen=True, slots=True)
class Due:
    """A question to be asked. section: `chapter-slug#section`. retrievability: probability that it is still
    known. again: it failed earlier today and comes once more."""

    question: Question
    section: str
    due: datetime
    retrievability: float
    lapses: int = 0
    leech: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What an answer led to. rating: what counted; proposed: by the grade. interval: days until due."""

    key: str
    question: str
    rating: Rating
    proposed: str
    due: datetime
    interval: int
    lapses: int
    leech: bool


@dataclass(frozen=True, slots=True)
class Undone:
    """A review that counts no more. answer: what was typed; it is a draft again, where none had begun."""

    key: str
    question: str
    rating: str
    answer: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    text: str
    seconds: float
    at: datetime
