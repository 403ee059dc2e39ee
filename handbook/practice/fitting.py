"""The scheduler's parameters fitted to the reader's own history, where there is enough of it.

The package's defaults were fitted to hundreds of millions of reviews of flashcards; with a history of one's
own its optimizer does better (Ye, Su and Cao 2022, KDD). It fits only from 512 reviews on that came a day or
more after the one before, and gives back its defaults silently below that; so here a fit is refused, with the
reason. Whether a fit is any good is told by reviews that it has not seen: it learns from the first four
fifths of the history, by time, and is kept only if it predicts the last fifth better than what holds now.

Needs the extra `optimizer`, which brings what the package's optimizer imports.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from handbook.errors import HandbookError
from handbook.practice.aim import Aim, local_day
from handbook.practice.memory import RATINGS, Memory

if TYPE_CHECKING:
    from handbook.practice.cards import Deck

LEARNED = 512  # reviews that the package's optimizer wants
CHECKED = 0.2  # share of the newest reviews, on which the fit is checked
ENOUGH = math.ceil(LEARNED / (1 - CHECKED))


@dataclass(frozen=True, slots=True)
class Fit:
    """Parameters, and what they are worth. learned, checked: reviews; before, after: log loss (nats a review)
    of the parameters that held and of these, on the checked ones. better: whether these are to be used."""

    parameters: tuple[float, ...]
    learned: int
    checked: int
    before: float
    after: float

    @property
    def better(self) -> bool:
        return self.after < self.before


class TooFew(HandbookError):
    """There are too few reviews to fit to."""


def fit(deck: Deck) -> Fit:
    """Fit to the reviews of this deck; changes nothing. Raises TooFew, or HandbookError where the optimizer
    is not installed."""
    return fitted(deck.rows.facts(), deck.memory())


def use(deck: Deck, found: Fit) -> int:
    """Let a fit hold, and reckon what is believed of each memory anew; the dates stay. How many cards.

    Raises HandbookError for a fit that is no better than what holds."""
    if not found.better:
        raise HandbookError(
            f"The fit predicts no better: log loss {found.after:.4f}, with what holds {found.before:.4f}.",
            "Nothing was changed. Try again with more reviews.",
        )
    deck.rows.add_fitted(asdict(found), deck.now())
    return deck.rebuild()


def back(deck: Deck) -> bool:
    """Undo the last fit; False where the package's parameters hold already."""
    held = deck.rows.fitted()
    if held is None:
        return False
    deck.rows.undo_fitted(held["key"])
    deck.rebuild()
    return True


def fitted(reviews: Iterable[Mapping[str, Any]], memory: Memory) -> Fit:
    """Fit to these reviews (the oldest first), beside what `memory` says of the same."""
    rows = [review for review in reviews if review["rating"] in RATINGS]
    days: dict[str, Any] = {}
    later_days = []
    for number, review in enumerate(rows):
        day = local_day(review["at"])
        if days.get(review["question"], day) < day:
            later_days.append(number)
        days[review["question"]] = day
    if len(later_days) < ENOUGH:
        raise TooFew(
            f"Fitting wants {ENOUGH} reviews that came a day or more after the one before: {LEARNED} to "
            f"learn from and a fifth to check it on. There are {len(later_days)}.",
            "Until then the package's own parameters hold; they were fitted to many people's flashcards.",
        )
    cut = later_days[int(len(later_days) * (1 - CHECKED))]
    parameters = _monotone(_optimal(rows[:cut]))
    before, checked = log_loss(rows, memory, cut)
    after, _ = log_loss(rows, Memory(parameters), cut)
    return Fit(parameters, sum(number < cut for number in later_days), checked, before, after)


def log_loss(rows: Sequence[Mapping[str, Any]], memory: Memory, start: int = 0) -> tuple[float, int]:
    """Mean log loss of what was expected at each review from number `start` on that came a day or more after
    the one before, in nats; and how many there were."""
    cards: dict[str, dict[str, Any]] = {}
    days: dict[str, Any] = {}
    losses = []
    for number, review in enumerate(rows):
        name, day = review["question"], local_day(review["at"])
        chance = memory.retrievability(cards.get(name, {}), review["at"])
        if number >= start and chance is not None and days[name] < day:
            chance = min(max(chance, 1e-6), 1 - 1e-6)
            losses.append(-math.log(chance if review["rating"] != "again" else 1 - chance))
        cards[name], _ = memory.answered(cards.get(name, {}), review["rating"], review["at"], Aim())
        days[name] = day
    return (sum(losses) / len(losses) if losses else math.nan), len(losses)


def _optimal(rows: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
    """What the package's optimizer makes of these reviews, by calendar days. Raises HandbookError."""
    from fsrs import Rating as Grade
    from fsrs import ReviewLog

    try:
        from fsrs.optimizer import Optimizer

        numbers: dict[str, int] = {}
        first = rows[0]["at"]
        logs: list[ReviewLog] = []
        for review in rows:
            card = numbers.setdefault(review["question"], len(numbers) + 1)
            days = (local_day(review["at"]) - local_day(first)).days
            moment = first + timedelta(days=days, microseconds=len(logs))  # the order within a day is kept
            logs.append(ReviewLog(card, Grade[review["rating"].capitalize()], moment, None))
        return tuple(float(each) for each in Optimizer(logs).compute_optimal_parameters())
    except ImportError as error:
        raise HandbookError(
            f"The optimizer of the schedule can't be loaded: {error}.",
            "Install it: pip install 'genai-lead-handbook[optimizer]'.",
        ) from error


def _monotone(parameters: Sequence[float]) -> tuple[float, ...]:
    """The first four are the days that a first answer lasts, by rating: a better one never fewer."""
    first = [max(parameters[: number + 1]) for number in range(4)]
    return (*first, *parameters[4:])
