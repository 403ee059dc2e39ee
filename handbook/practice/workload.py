"""Looking ahead: how many reviews each day will bring, and how long they take.

Each card is followed from its next date on, as if it went as the scheduler expects: what is known at a review
(probability R, its retrievability then) is rated good and goes on; for the rest, 1 - R, two more reviews are
counted, one at the end of the same session and one the day after. What is overdue comes today. Siblings are
not kept apart here, so single days may shift by one or two; the sum does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from handbook.errors import HandbookError
from handbook.practice.aim import aim, local_day
from handbook.practice.memory import sound

if TYPE_CHECKING:
    from handbook.practice.cards import Deck

FARTHEST = 400  # days ahead
USUAL = 180.0  # seconds for a typed answer, its grade and what was missed, before there are own ones
ENOUGH = 10  # own answers from which on their median counts
RECENT = 50
PLAUSIBLE = 5.0, 1800.0  # seconds; others are slips, or a pause


class Load(NamedTuple):
    """A day's reviews, as expected numbers, and the minutes that they take."""

    day: date
    reviews: float
    minutes: float


class Pace(NamedTuple):
    """Seconds that an answer takes. answers: how many own ones it rests on; 0: it is a guess."""

    seconds: float
    answers: int


def pace(seconds: Sequence[float]) -> Pace:
    """The median of what recent answers took; a guess where there are too few."""
    return Pace(median(seconds), len(seconds)) if len(seconds) >= ENOUGH else Pace(USUAL, 0)


def forecast(deck: Deck, until: date, new_a_day: int, at: datetime) -> list[Load]:
    """Each day from today to `until`. new_a_day: questions that are begun each day besides.

    Raises HandbookError for a day that is too far away.
    """
    today = local_day(at)
    days = (until - today).days
    if days > FARTHEST:
        raise HandbookError(
            f"Expected a day within {FARTHEST} days, got {until.isoformat()}.", "Choose a nearer one."
        )
    if days < 0:
        return []
    expected = [0.0] * (days + 1)
    memory, interview = deck.memory(), deck.interview()
    noon = [datetime.combine(today + timedelta(days=n), time(12)).astimezone() for n in range(days + 1)]

    def follow(question: str, card: Mapping[str, Any], begins: int) -> None:
        day = begins
        while day <= days:
            known = memory.retrievability(card, noon[day]) if card else 1.0
            failed = 1.0 - (known if known is not None else 1.0)
            expected[day] += 1 + failed
            if day < days:
                expected[day + 1] += failed
            card, due = memory.answered(card, "good", noon[day], aim(interview, noon[day], question))
            day = max(day + 1, (local_day(due) - today).days)

    there = deck.rows.cards()
    for name, row in there.items():
        question = name in deck.book.questions and not row["suspended"]
        if question and row["card"] and sound(row["card"]) and row["due"] is not None:
            follow(name, row["card"], max(0, (local_day(row["due"]) - today).days))
    fresh = [name for name in deck.book.questions if not there.get(name, {}).get("card")]
    for number, name in enumerate(fresh[: new_a_day * (days + 1)] if new_a_day > 0 else []):
        follow(name, {}, number // new_a_day)
    minutes = deck.pace().seconds / 60
    return [
        Load(today + timedelta(days=n), round(count, 2), round(count * minutes, 1))
        for n, count in enumerate(expected)
    ]
