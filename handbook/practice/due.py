"""When an exercise should be done again: spaced repetition by FSRS, its rating taken from what happened.

Nobody is asked how hard it felt. A round of an exercise ends when every test passes or when the reader gives
up, and tells the rating itself:

    gave up                              again   (back tomorrow)
    solved with a hint                   hard
    solved, after runs that failed       good
    solved by the first run              easy

Intervals come from the `fsrs` package, version 6 of the algorithm (Ye, Su and Cao 2022, "A Stochastic
Shortest Path Algorithm for Optimizing Spaced Repetition Scheduling", KDD), with its default parameters: those
were fitted to flashcards, not to exercises of half an hour, so a date is a proposal. Steps of minutes within
a day make no sense for an exercise and are switched off; so is the random spread of dates, so that equal
histories give equal dates.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from fsrs.card import CardDict

Rating = Literal["again", "hard", "good", "easy"]
RETENTION = 0.9  # share of exercises that should still be solved when they are due
LONGEST = 365  # days
SITTING = timedelta(hours=20)  # a second end within it is the same piece of practice


def rating(*, gave_up: bool, hints: int, failed: int) -> Rating:
    """Of a round that has ended. hints: opened in it; failed: runs of it that did not pass."""
    if gave_up:
        return "again"
    if hints:
        return "hard"
    return "good" if failed else "easy"


def counts(card: Mapping[str, Any], at: datetime) -> bool:
    """Whether an end of a round at that moment is a repetition: solving an exercise whose solution was just
    read says nothing about memory."""
    last = card.get("last_review")
    return not last or at - datetime.fromisoformat(last) >= SITTING


def repeated(card: Mapping[str, Any], grade: Rating, at: datetime) -> tuple[dict[str, Any], datetime]:
    """(card, due) after a repetition. card: what this returned before, {} for a first one; plain data.

    Raises ValueError for a card that is none.
    """
    from fsrs import Card, Scheduler
    from fsrs import Rating as Grade

    scheduler = Scheduler(
        desired_retention=RETENTION,
        learning_steps=(),
        relearning_steps=(),
        maximum_interval=LONGEST,
        enable_fuzzing=False,
    )
    try:
        before = Card.from_dict(cast("CardDict", dict(card))) if card else Card(card_id=1)
        after, _ = scheduler.review_card(before, Grade[grade.capitalize()], at.astimezone(UTC))
    except (KeyError, TypeError, AssertionError) as error:
        raise ValueError(f"expected a card of the scheduler, got {sorted(card)}: {error}") from error
    return cast(dict[str, Any], after.to_dict()), after.due


def is_due(due: datetime | None, at: datetime) -> bool:
    """By the calendar of the reader: what is due tonight may be done this morning."""
    return due is not None and due.astimezone().date() <= at.astimezone().date()


def in_words(due: datetime, at: datetime) -> str:
    """`due now`, `due tomorrow`, `due in 8 days`."""
    if is_due(due, at):
        return "due now"
    days = (due.astimezone().date() - at.astimezone().date()).days
    return "due tomorrow" if days == 1 else f"due in {days} days"
