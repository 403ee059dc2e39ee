"""An answer in the writer's own words, with the places marked that a grade quotes."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from handbook.records import Grade

Kind = Literal["", "met", "maybe", "wrong"]
Place = tuple[Kind, int, int, int]  # kind, number of the criterion (0: a mistake), start, end
STRONGEST: tuple[Kind, ...] = ("wrong", "met", "maybe")
KINDS: dict[str, Kind] = {"yes": "met", "unclear": "maybe", "no": "wrong"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the answer. kind: what it is quoted as, the strongest where it is several; wrong is a
    mistake, or the contrary of a criterion. criteria: by number, from 1. ends: those whose quote ends
    here."""

    text: str
    kind: Kind = ""
    criteria: tuple[int, ...] = ()
    ends: str = ""


def pieces(grade: Grade) -> tuple[Piece, ...]:
    """The whole answer, cut wherever a quote begins or ends. A place outside of it marks nothing."""
    answer = grade.answer
    places = list(_inside(grade, len(answer)))
    cuts = sorted({0, len(answer), *(cut for _, _, low, high in places for cut in (low, high))})
    return tuple(_piece(answer, start, end, places) for start, end in pairwise(cuts))


def _piece(answer: str, start: int, end: int, places: Iterable[Place]) -> Piece:
    here = [place for place in places if place[2] <= start and end <= place[3]]
    kinds: list[Kind] = [kind for kind in STRONGEST if any(place[0] == kind for place in here)]
    ends = ", ".join(str(at) for _, at, _, high in here if at and high == end)
    return Piece(answer[start:end], kinds[0] if kinds else "", tuple(at for _, at, _, _ in here if at), ends)


def _inside(grade: Grade, length: int) -> Iterable[Place]:
    found: list[Place] = [
        (KINDS[each.verdict], at, each.start, each.end) for at, each in enumerate(grade.judgements, 1)
    ]
    found += [("wrong", 0, each.start, each.end) for each in grade.misconceptions]
    return (place for place in found if 0 <= place[2] < place[3] <= length)
