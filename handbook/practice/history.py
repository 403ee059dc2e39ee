"""Looking back: what was still known when it was asked again, and what keeps being missed.

True retention counts the first review of a question on a day, if an earlier day's answer came before it:
anything but `again` is a success. It is split as in Anki's table of that name: young questions had an
interval of under 21 days, mature ones of 21 or more. Beside the share stand its 95 % interval (Wilson 1927,
"Probable Inference, the Law of Succession, and Statistical Inference", JASA 22:209-212) and what the
scheduler had expected, so that it can be told whether the two agree.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from handbook.practice.aim import local_day
from handbook.practice.memory import MATURE, Memory, interval
from handbook.practice.places import section_of, title_of, url_of
from handbook.practice.replay import kept_row
from handbook.records import Question

if TYPE_CHECKING:
    from handbook.practice.cards import Deck

Period = Literal["week", "month", "all"]
Age = Literal["young", "mature", "all"]
Z = 1.96  # of a 95 % interval
MISSED = 3  # criteria that are named of a leech


@dataclass(frozen=True, slots=True)
class Retained:
    """Reviews of a period: how many were known, of how many. start: its first day (a Monday, the first of a
    month; of "all" the first review's). low, high: 95 % interval of the share; expected: the scheduler's mean
    for the same reviews; None where nothing was asked."""

    period: Period
    start: date
    age: Age
    known: int
    asked: int
    low: float | None
    high: float | None
    expected: float | None


@dataclass(frozen=True, slots=True)
class Leech:
    """A question that keeps being missed. url: the paragraph to go back to. missed: what its answers most
    often lacked (the criterion's words) and how often; reviews: how many there were."""

    question: Question
    lapses: int
    reviews: int
    section: str
    title: str
    url: str
    missed: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    day: date
    known: bool
    mature: bool
    expected: float


def wilson(known: int, asked: int) -> tuple[float, float]:
    """95 % interval of a share. Raises ValueError for none asked."""
    if not 0 <= known <= asked or not asked:
        raise ValueError(f"expected 0 to {asked} of one or more, got {known}")
    share, square = known / asked, Z * Z / asked
    middle = (share + square / 2) / (1 + square)
    half = Z * math.sqrt(share * (1 - share) / asked + square / (4 * asked)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def retention(reviews: Iterable[Mapping[str, Any]], memory: Memory) -> list[Retained]:
    """A row for each week, each month and all of it, by age of the memory; the newest period first. reviews:
    rows of any questions, the oldest first. Periods in which nothing was asked are left out."""
    asked = list(_asked(reviews, memory))
    if not asked:
        return []
    table = []
    for period in ("week", "month", "all"):
        groups: dict[date, list[_Asked]] = {}
        for one in asked:
            groups.setdefault(_start(period, one.day, asked[0].day), []).append(one)
        for start in sorted(groups, reverse=True):
            rows = groups[start]
            ages: tuple[tuple[Age, list[_Asked]], ...] = (
                ("young", [one for one in rows if not one.mature]),
                ("mature", [one for one in rows if one.mature]),
                ("all", rows),
            )
            table += [_row(period, start, age, some) for age, some in ages]
    return table


def _asked(reviews: Iterable[Mapping[str, Any]], memory: Memory) -> Iterator[_Asked]:
    """Those before which the question was answered on an earlier day, and not yet on that one."""
    for review in reviews:
        day = local_day(review["at"])
        if not review["rating"]:
            continue
        before = kept_row(review["before"])
        card = before["card"] if before else {}
        if not card or local_day(datetime.fromisoformat(card["last_review"])) >= day:
            continue
        expected = memory.retrievability(card, review["at"])
        if expected is not None:
            yield _Asked(day, review["rating"] != "again", (interval(card) or 0) >= MATURE, expected)


def _start(period: str, day: date, first: date) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else first


def _row(period: Any, start: date, age: Age, rows: Sequence[_Asked]) -> Retained:
    known, count = sum(one.known for one in rows), len(rows)
    low, high = wilson(known, count) if count else (None, None)
    expected = sum(one.expected for one in rows) / count if count else None
    return Retained(period, start, age, known, count, low, high, expected)


def leeches(deck: Deck) -> list[Leech]:
    """The most often forgotten first."""
    found = []
    for name, row in deck.rows.cards().items():
        question = deck.book.questions.get(name)
        if question is None or not row["leech"]:
            continue
        reviews = deck.rows.reviews(name)
        found.append(
            Leech(
                question=question,
                lapses=row["lapses"],
                reviews=len(reviews),
                section=section_of(deck.book, question),
                title=title_of(deck.book, question),
                url=url_of(deck.book, question),
                missed=_missed(question, reviews),
            )
        )
    return sorted(found, key=lambda leech: (-leech.lapses, leech.question.id))


def _missed(question: Question, reviews: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, int], ...]:
    """Criteria that answers did not meet, by the person's verdict where there is one."""
    words = {criterion.id: criterion.yes for criterion in question.criteria}
    count: Counter[str] = Counter()
    for review in reviews:
        grade, decided = (
            each if isinstance(each, dict) else {} for each in (review["grade"], review["decided"])
        )
        for judgement in grade.get("judgements") or []:
            if not isinstance(judgement, dict) or judgement.get("criterion") not in words:
                continue
            name = judgement["criterion"]
            count[name] += decided.get(name, judgement.get("verdict")) == "no"
    return tuple((words[name], times) for name, times in count.most_common(MISSED) if times)
