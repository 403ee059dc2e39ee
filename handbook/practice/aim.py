"""What repetition aims at: how much should be known when, seen from the day of the interview.

The share of questions that should still be answered when they come due is a trade: a higher one costs more
reviews for the same material (Ye, Su and Cao 2022, "A Stochastic Shortest Path Algorithm for Optimizing
Spaced Repetition Scheduling", KDD), and the best gap between two sessions grows with the time until the test
(Cepeda, Vul, Rohrer, Wixted and Pashler 2008, "Spacing Effects in Learning: A Temporal Ridgeline of Optimal
Retention", Psychological Science 19:1095-1102). So far from the date gaps are long and the time goes into new
material; in the last week what is known should be there on the day. Between the two the share rises evenly
with the days: the papers say which way, the straight line and its two ends are our choice.

Nothing is put off beyond the date unseen: each question has a last day of its own in the two weeks before it,
by which it is asked once more however well it is known. They are spread evenly, or all would fall on the last
evening. Asked on that day or after it, a question comes again only where the scheduler expects it to be
forgotten before the date; without that exception each would come every day of the last three.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

USUAL = 0.9  # without a date, and after it
FAR = 0.85
NEAR = 0.95
FAR_DAYS = 90
NEAR_DAYS = 7
LONGEST = 365  # days between two reviews
SPREAD = 14  # days before the date over which last reviews are spread


@dataclass(frozen=True, slots=True)
class Aim:
    """retention: share of questions that are still known when due. longest: days until the next review."""

    retention: float = USUAL
    longest: int = LONGEST


def local_day(at: datetime) -> date:
    """The day by the reader's calendar."""
    return at.astimezone().date()


def days_left(interview: date | None, at: datetime) -> int | None:
    """Days until the interview; None without one, and after it."""
    if interview is None:
        return None
    days = (interview - local_day(at)).days
    return days if days >= 0 else None


def retention_target(days: int | None) -> float:
    """From FAR at FAR_DAYS or more, evenly up to NEAR at NEAR_DAYS or fewer."""
    if days is None:
        return USUAL
    share = (days - NEAR_DAYS) / (FAR_DAYS - NEAR_DAYS)
    return round(NEAR - (NEAR - FAR) * min(max(share, 0.0), 1.0), 4)


def longest(days: int | None, question: str) -> int:
    """Days after which the question is asked again at the latest: until its own last day before the
    interview; on that day and after it the usual."""
    if days is None:
        return LONGEST
    last = days - 1 - int(hashlib.sha256(question.encode()).hexdigest(), 16) % SPREAD
    return min(LONGEST, last) if last >= 1 else LONGEST


def aim(interview: date | None, at: datetime, question: str) -> Aim:
    days = days_left(interview, at)
    return Aim(retention_target(days), longest(days, question))
