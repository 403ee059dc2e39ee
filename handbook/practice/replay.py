"""A card from its reviews: what an undone or imported review, or newly fitted parameters, make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from handbook.database.cards import FIELDS
from handbook.practice.aim import Aim, local_day
from handbook.practice.due import Rating
from handbook.practice.memory import MATURE, RATINGS, Memory, sound

LEECH = 4  # lapses from which on a question counts as one that keeps being missed
MANY = 100_000  # lapses that are believed


def lapsed(card: Mapping[str, Any], rating: str, at: datetime) -> bool:
    """Whether it was asked on an earlier day and is not known now. A first answer that fails is no lapse, and
    a second one on the same day is the same lapse; one that was never known lapses each day it is missed."""
    if rating != "again" or not card:
        return False
    return local_day(datetime.fromisoformat(card["last_review"])) < local_day(at)


def leech(before: bool, lapses: int, lapse: bool, card: Mapping[str, Any], rating: str) -> bool:
    """From LEECH lapses on, until the memory has become a mature one."""
    if lapse and lapses >= LEECH:
        return True
    return before and not (rating != "again" and card["stability"] >= MATURE)


def replay(
    reviews: Iterable[Mapping[str, Any]],
    memory: Memory,
    aim_at: Callable[[datetime], Aim],
    keep_dates: bool = True,
) -> dict[str, Any]:
    """card, due, lapses and leech after these reviews of one question, the oldest first.

    The memory is computed anew. keep_dates: the date stays the one that was given after the last review, if
    one was. A review without a rating brought a state from elsewhere, which is taken as it is.
    """
    state: dict[str, Any] = {"card": {}, "due": None, "lapses": 0, "leech": False}
    for review in reviews:
        after, rating, at = kept_row(review["after"]), review["rating"], review["at"]
        if rating in RATINGS:
            state = step(state, rating, at, memory, aim_at(at))
        elif after:
            state = {name: after[name] for name in state}
        given = after["due"] if after and keep_dates else None
        if given is not None and state["card"]:
            state["due"], state["card"] = given, {**state["card"], "due": given.isoformat()}
    return state


def step(state: Mapping[str, Any], rating: Rating, at: datetime, memory: Memory, aim: Aim) -> dict[str, Any]:
    """card, due, lapses and leech after one more review."""
    before = state["card"] if sound(state["card"]) else {}
    card, due = memory.answered(before, rating, at, aim)
    lapse = lapsed(before, rating, at)
    lapses = int(state["lapses"]) + lapse
    return {
        "card": card,
        "due": due,
        "lapses": lapses,
        "leech": leech(bool(state["leech"]), lapses, lapse, card, rating),
    }


def kept_row(values: Any) -> dict[str, Any] | None:
    """A card's row as a review kept it, its moments read; None for one that can't have been written here: a
    review may come from a file."""
    if not isinstance(values, Mapping) or set(values) != set(FIELDS):
        return None
    row = {**values, "due": moment(values["due"]), "at": moment(values["at"])}
    card, lapses = row["card"], row["lapses"]
    good = (
        isinstance(card, Mapping)
        and sound(card)
        and type(lapses) is int
        and 0 <= lapses < MANY
        and all(type(row[name]) is bool for name in ("leech", "suspended"))
        and isinstance(row["buried"], str)
        and len(row["buried"]) in (0, 10)
        and row["at"] is not None
        and (row["due"] is None) == (values["due"] is None)
    )
    return row if good else None


def moment(value: Any) -> datetime | None:
    """A moment from its ISO text, in UTC; None where it is none."""
    try:
        found = datetime.fromisoformat(cast(str, value))
    except (TypeError, ValueError):
        return None
    return found.astimezone(UTC) if found.tzinfo is not None and 1970 <= found.year <= 2200 else None
