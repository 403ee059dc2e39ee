"""What the scheduler believes about a memory: FSRS through the `fsrs` package, counted in calendar days.

Version 6 of the algorithm (Ye, Su and Cao 2022, KDD; the package's docstrings have the formulas), without
random spread of dates and without steps of minutes, as for exercises (`practice.due`). The package counts
whole periods of 24 hours; a person who answers at ten in the evening and again at eight has slept between, so
it is handed moments that lie as many whole days apart as the reader's calendar says. Histories at the same
hour of the day give exactly what the package alone gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast, get_args

from handbook.practice.aim import Aim, local_day
from handbook.practice.due import Rating

if TYPE_CHECKING:
    from fsrs import Card, Scheduler
    from fsrs.card import CardDict

RATINGS: tuple[Rating, ...] = get_args(Rating)
MATURE = 21  # days: an interval from which on a memory counts as mature, as in Anki's tables
NUMBERS = ("stability", "difficulty", "state", "step", "card_id")
STEADY = 1e-3, 36_500.0  # days of stability that are believed


class Memory:
    """The scheduler with its parameters: the package's, or ones that were fitted."""

    def __init__(self, parameters: Sequence[float] | None = None) -> None:
        self._parameters = None if parameters is None else tuple(parameters)
        self._schedulers: dict[Aim, Scheduler] = {}
        self._usual = self._scheduler(Aim())

    def answered(
        self, card: Mapping[str, Any], rating: Rating, at: datetime, aim: Aim
    ) -> tuple[dict[str, Any], datetime]:
        """(card, due) after an answer. card: what this returned before, {} for a first one; plain data.

        Raises ValueError for a card that is none.
        """
        from fsrs import Rating as Grade

        at = at.astimezone(UTC)
        before = self._read(card)
        last = before.last_review
        when = at if last is None else last + timedelta(days=_days(last, at))
        after, _ = self._scheduler(aim).review_card(before, Grade[rating.capitalize()], when)
        due = later(at, (after.due - when).days)
        after.last_review, after.due = at, due
        return cast(dict[str, Any], after.to_dict()), due

    def retrievability(self, card: Mapping[str, Any], at: datetime) -> float | None:
        """Probability, 0 to 1, that it is still known; None for one that was never answered."""
        if not card:
            return None
        read = self._read(card)
        if read.last_review is None:
            return None
        days = _days(read.last_review, at.astimezone(UTC))
        return float(self._usual.get_card_retrievability(read, read.last_review + timedelta(days=days)))

    def _scheduler(self, aim: Aim) -> Scheduler:
        from fsrs import Scheduler

        if aim not in self._schedulers:
            given: dict[str, Any] = {} if self._parameters is None else {"parameters": self._parameters}
            self._schedulers[aim] = Scheduler(
                desired_retention=aim.retention,
                learning_steps=(),
                relearning_steps=(),
                maximum_interval=aim.longest,
                enable_fuzzing=False,
                **given,
            )
        return self._schedulers[aim]

    @staticmethod
    def _read(card: Mapping[str, Any]) -> Card:
        from fsrs import Card

        if not card:
            return Card(card_id=1)
        if not sound(card):
            raise ValueError(f"expected a card of the scheduler, got {sorted(map(str, card))}")
        return Card.from_dict(cast("CardDict", dict(card)))


def sound(card: Mapping[str, Any]) -> bool:
    """Whether it is a card of the scheduler's, with numbers and moments that it can have written. {} is a new
    one."""
    if not card:
        return True
    try:
        moments = [datetime.fromisoformat(card[name]) for name in ("due", "last_review")]
        stability, difficulty, state, step, number = (card[name] for name in NUMBERS)
    except (KeyError, TypeError, ValueError):
        return False
    if not all(type(each) in (int, float) for each in (stability, difficulty)):
        return False
    low, high = STEADY
    return (
        all(moment.tzinfo is not None and 1970 <= moment.year <= 2200 for moment in moments)
        and low <= stability <= high
        and 1 <= difficulty <= 10
        and type(state) is int
        and state in (1, 2, 3)
        and (step is None if state == 2 else type(step) is int and 0 <= step < 100)
        and type(number) is int
    )


def later(at: datetime, days: int) -> datetime:
    """As many days later by the reader's calendar, at the same hour on their clock."""
    local = at.astimezone().replace(tzinfo=None)
    return (local + timedelta(days=days)).astimezone(UTC)


def interval(card: Mapping[str, Any]) -> int | None:
    """Days between a card's last review and its next; None for a new one."""
    if not card or not sound(card):
        return None
    return _days(*(datetime.fromisoformat(card[name]) for name in ("last_review", "due")))


def _days(earlier: datetime, at: datetime) -> int:
    return max(0, (local_day(at) - local_day(earlier)).days)
