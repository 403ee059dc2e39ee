"""Which questions come today, and in which order: pure functions over the cards' rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, TypeVar

from handbook.database.cards import BLANK
from handbook.practice.aim import local_day
from handbook.practice.due import is_due
from handbook.practice.memory import Memory, sound
from handbook.practice.nouns import Due
from handbook.practice.places import section_of
from handbook.records import Question

if TYPE_CHECKING:
    from handbook.book.nouns import Book

LEVELS = ("foundation", "senior", "lead", "architect")
T = TypeVar("T")


def start_of(at: datetime) -> datetime:
    """Midnight of the reader's day, as UTC."""
    return datetime.combine(local_day(at), time()).astimezone(UTC)


def ratings_of_day(reviews: Iterable[Mapping[str, Any]], at: datetime) -> dict[str, list[str]]:
    """Ratings that were given on that day, by question, in order; "" in a diagnostic, which asks nothing
    twice. reviews: the oldest first."""
    day, seen = local_day(at), dict[str, list[str]]()
    for review in reviews:
        if local_day(review["at"]) == day:
            rating = review["rating"] if review["kind"] == "drill" else ""
            seen.setdefault(review["question"], []).append(rating)
    return seen


def mixed(items: Iterable[T], chapter: Callable[[T], str]) -> list[T]:
    """The same items, neighbours from different chapters wherever that is possible, else in their order: the
    first of another chapter comes next, but one that makes up more than half of the rest comes now."""
    waiting, found = list(items), list[T]()
    left = Counter(chapter(each) for each in waiting)
    last = None
    while waiting:
        most = max(left, key=lambda name: left[name])
        forced = most if most != last and 2 * left[most] > len(waiting) else None
        names = (chapter(each) for each in waiting)
        fits = (n for n, name in enumerate(names) if (name == forced if forced else name != last))
        found.append(waiting.pop(next(fits, 0)))
        last = chapter(found[-1])
        left[last] -= 1
    return found


@dataclass(frozen=True)
class Dealer:
    """A day's dealing. rows: the cards by question; seen: the day's ratings by question; siblings: whether
    several of one section may come on that day; chapters: slugs or paths, None for all."""

    book: Book
    memory: Memory
    rows: Mapping[str, Mapping[str, Any]]
    seen: Mapping[str, list[str]]
    at: datetime
    siblings: bool = False

    def due(self, chapters: Collection[str] | None = None) -> list[Due]:
        found = []
        for name, row in self.rows.items():
            question = self._asked(name, row, chapters)
            if question is None or not row["card"] or not sound(row["card"]):
                continue
            again = self.seen.get(name) == ["again"]
            due = row["due"] or datetime.fromisoformat(row["card"]["due"])
            if again or is_due(due, self.at):
                chance = self.memory.retrievability(row["card"], self.at) or 0.0
                place = section_of(self.book, question)
                found.append(Due(question, place, due, chance, row["lapses"], row["leech"], again))
        found.sort(key=lambda one: (one.again, one.retrievability, one.due, one.question.id))
        taken, dealt = self._taken(), []
        for one in found:
            if one.again or self.siblings or one.section not in taken:
                dealt.append(one)
                taken.add(one.section)
        return dealt

    def new(
        self, sections: Iterable[str] | None = None, chapters: Collection[str] | None = None
    ) -> list[Question]:
        by_section: dict[str, list[Question]] = {}
        for name in self.book.questions:
            row = self.rows.get(name, BLANK)
            question = self._asked(name, row, chapters)
            if question is not None and not row["card"]:
                by_section.setdefault(section_of(self.book, question), []).append(question)
        taken = set() if self.siblings else self._taken() | {one.section for one in self.due()}
        order = by_section if sections is None else dict.fromkeys(sections)
        return [
            min(by_section[place], key=lambda question: LEVELS.index(question.level))
            for place in order
            if place in by_section and place not in taken
        ]

    def _asked(self, name: str, row: Mapping[str, Any], chapters: Collection[str] | None) -> Question | None:
        """The question, unless it is put aside, of another chapter, or gone from the book."""
        question = self.book.questions.get(name)
        if question is None or row["suspended"] or row["buried"] == local_day(self.at).isoformat():
            return None
        slug = question.chapter.rpartition("/")[2]
        return question if not chapters or slug in chapters or question.chapter in chapters else None

    def _taken(self) -> set[str]:
        """Sections that were asked on that day."""
        known = (self.book.questions[name] for name in self.seen if name in self.book.questions)
        return {section_of(self.book, question) for question in known}
