"""What a file says, and what became of it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from handbook.errors import HandbookError
from handbook.practice.exchange.limits import NAME

Kind = Literal["json", "csv", "anki"]


class NotTaken(HandbookError):
    """A file of which nothing was taken in."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what, f"{remedy} Nothing was imported.".strip())


@dataclass(slots=True)
class Incoming:
    """What a file says, checked. reviews: rows of `review`. cards: rows of `card`, for questions that have
    none here. suspended: questions that are put aside there. tables: rows of other tables. left_out: how many
    of what were left out, by reason in words."""

    kind: Kind
    reviews: list[dict[str, Any]] = field(default_factory=list)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    suspended: set[str] = field(default_factory=set)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a file. key: of the import, "" where it brought nothing new. taken: how many rows, by
    table; left_out: how many, by reason in words. undone: taken back since."""

    key: str
    kind: str
    name: str
    taken: Mapping[str, int]
    left_out: Mapping[str, int]
    at: datetime
    undone: bool = False


def shown_name(name: str) -> str:
    """A file's name as it is kept and shown: its last part, without what a terminal would obey."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(each for each in last if unicodedata.category(each)[0] != "C")[:NAME]
