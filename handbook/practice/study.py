"""The plan, the day, the diagnostic and readiness of one reader, over the database.

One object for the pages and the command line; what it decides is in plan, daily, diagnostic and readiness.
Every change of the plan is a row of its own, so that it can be undone; a session is dealt once a day and
stays as it is until the plan changes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from handbook.database.plans import Plans
from handbook.database.practice import Practice
from handbook.database.tables import now
from handbook.errors import PlanError
from handbook.practice import daily, planned
from handbook.practice import material as stuff
from handbook.practice import plan as plans
from handbook.practice.aim import local_day
from handbook.practice.cards import Deck
from handbook.practice.daily import Calendar, Session
from handbook.practice.diagnosing import Diagnosing
from handbook.practice.diagnostic import Diagnostic
from handbook.practice.graph import Graph, concepts
from handbook.practice.material import Done, Item
from handbook.practice.plan import Plan
from handbook.practice.readiness import Changed, Readiness, changes, merged, readiness

if TYPE_CHECKING:
    from handbook.book.nouns import Book
    from handbook.database import Database
    from handbook.practice.diagnostic import Result

ASKED = ("drill", "diagnostic")


@dataclass(frozen=True, slots=True)
class Today:
    """The session of a day and which of its items are done, by key."""

    session: Session
    done: frozenset[str]

    @property
    def next(self) -> Item | None:
        return next((item for item in self.session.items if item.key not in self.done), None)

    @property
    def left(self) -> float:
        """Minutes of what is not done."""
        return round(sum(item.minutes for item in self.session.items if item.key not in self.done), 1)


@dataclass(frozen=True, slots=True)
class Change:
    """A plan after a change, and what that means, in words."""

    plan: Plan
    notes: tuple[str, ...]


class Study:
    """Opening reads nothing; each method is a few short transactions."""

    def __init__(self, database: Database, book: Book, clock: Callable[[], dt.datetime] = now) -> None:
        self.book = book
        self._database = database
        self.rows = Plans(database)
        self.practice = Practice(database)
        self.deck = Deck(database, book, clock)
        self.diagnosing = Diagnosing(self.rows, self.deck, lambda: self.graph)
        self._clock = clock

    @cached_property
    def graph(self) -> Graph:
        return concepts(self.book)

    def day(self) -> dt.date:
        """Today, by the reader's calendar."""
        return local_day(self._clock())

    # The plan

    def plan(self) -> Plan | None:
        """The plan that holds; None before there is one, or where what is kept can't be read."""
        row = self.rows.current()
        try:
            return plans.from_dict(row["values"]) if row else None
        except PlanError:
            return None

    def start(self, **answers: Any) -> Plan:
        """Make a plan: date, hours, level, role, track, days (plan.onboard), with the last diagnostic."""
        plan = plans.onboard(self.graph, self.day(), result=self.diagnosing.result(), **answers)
        return self._keep(plan, "began")

    def change(self, **values: Any) -> Change:
        """Move the date, change hours, days, level, role or track."""
        old = self._needed()
        plan = plans.change(old, self.graph, self.day(), **values)
        if plan == old:
            return Change(old, ("Nothing changed.",))
        before = self.calendar()
        self._keep(plan, "changed " + ", ".join(sorted(values)))
        return self._compared(plan, before)

    def away(self, first: dt.date, last: dt.date) -> Change:
        """No time on these days: missed, or to come. What they held is spread over the others."""
        old = self._needed()
        first, last = min(first, last), max(first, last)
        plan = plans.replan(old, first, last)
        since = min(max(first, old.begun), self.day()) if last >= old.begun else self.day()
        before = daily.calendar(old, self.graph, self._done(), since)
        self._keep(plan, f"no time from {first.isoformat()} to {last.isoformat()}")
        return self._compared(plan, before)

    def take_in(self) -> Plan:
        """The plan with what the last diagnostic found."""
        result = self.diagnosing.result()
        plan = self._needed()
        return self._keep(plans.refreshed(plan, result), "took in the diagnostic") if result else plan

    def undo(self) -> str | None:
        """Take the last change of the plan back; what it was, None where there is nothing to take back. The
        day is dealt anew, beside what is done of it."""
        row = self.rows.undo()
        return None if row is None else str(row["why"])

    def history(self) -> list[dict[str, Any]]:
        """Changes, the newest first: number, why, at, undone, values."""
        return self.rows.history()

    # The day and the calendar

    def today(self) -> Today | None:
        """The session of this day, dealt at the first call; None without a plan."""
        row, day = self.rows.current(), self.day()
        plan = self.plan()
        if row is None or plan is None:
            return None
        kept = self.rows.day(day)
        session = planned.session(kept["values"], row["number"], self.graph, day) if kept else None
        marked = planned.marked(kept["values"]) if kept else frozenset()
        if session is None:
            before = planned.items(kept["values"], self.graph) if kept else ()
            done = self._done_today(day, before) | marked
            session = self._deal(plan, day, [item for item in before if item.key in done])
            self.rows.save_day(day, planned.values(session, row["number"], marked))
        return Today(session, self._done_today(day, session.items) | marked)

    def mark(self, key: str, done: bool = True) -> Today | None:
        """Say that an item of today is done, or that it is not. A section that was read in full so counts as
        read everywhere, so that it does not come again tomorrow."""
        today, row = self.today(), self.rows.current()
        item = next((each for each in today.session.items if each.key == key), None) if today else None
        if today is None or row is None or item is None:
            return today
        kept = self.rows.day(self.day())
        before = planned.marked(kept["values"]) if kept else frozenset()
        marked = before | {key} if done else before - {key}
        self.rows.save_day(self.day(), planned.values(today.session, row["number"], marked))
        if item.kind == "read" and marked != before:
            self._mark_read(item.id, done)
        return self.today()

    def _mark_read(self, section: str, done: bool) -> None:
        """Where the days' parts of it that are ticked make up the whole section; or take that back."""
        chapter, _, name = section.partition("#")
        if not done:
            self._database.unmark_read(chapter, name)
            return
        plan = self._needed()
        used = 0.0
        for row in self.rows.days(min(plan.begun, self.day())):
            ticked = planned.marked(row["values"])
            items = planned.items(row["values"], self.graph)
            used += sum(each.minutes for each in items if each.id == section and each.key in ticked)
        if used >= stuff.minutes(self.graph.concepts[section]) - 0.5:
            self._database.mark_read(chapter, name)

    def deal_again(self) -> Today | None:
        """Another session for today, with what is done of the old one."""
        row, kept = self.rows.current(), self.rows.day(self.day())
        if row is not None and kept is not None:
            self.rows.save_day(self.day(), {**kept["values"], "plan": 0})
        return self.today()

    def calendar(self) -> Calendar | None:
        """Every day to the date; None without a plan."""
        plan = self.plan()
        if plan is None:
            return None
        day = self.day()
        until = min(plan.date or day + dt.timedelta(days=84), day + dt.timedelta(days=360))
        load = {each.day: round(each.reviews) for each in self.deck.forecast(until)}
        return daily.calendar(plan, self.graph, self._done(), day, load, self._review_minutes())

    # Where the reader stands

    def result(self) -> Result:
        """Where every section stands now, by all that was answered."""
        return self._current().result()

    def readiness(self) -> list[Readiness]:
        return readiness(self.graph, self._current(), self._done())

    def changes(self) -> list[Changed]:
        """What stands otherwise than after the last diagnostic, both seen from the level of today; none
        without one."""
        last, current = self.diagnosing.last(), self._current()
        if last is None or not last.answers:
            return []
        before = Diagnostic(self.graph, level=current.level, answers=last.answers)
        return changes(before.result(), current.result())

    # In and out

    def export(self) -> dict[str, Any]:
        """The plan and the last diagnostic, as `import_` takes them."""
        plan, last = self.plan(), self.rows.last_diagnostic()
        return {
            "format": "handbook-study",
            "version": 1,
            "plan": plan.to_dict() if plan else None,
            "diagnostic": last["state"] if last else None,
        }

    def import_(self, values: Mapping[str, Any]) -> Plan | None:
        """Take an export in: its plan holds from now on, and can be undone. Raises PlanError for anything
        else, before anything is written."""
        plan, diagnostic = planned.imported(values, self.graph, self.day())
        if diagnostic is not None:
            self.diagnosing.keep(diagnostic)
        return self._keep(plan, "imported") if plan else None

    # Inside

    def _needed(self) -> Plan:
        plan = self.plan()
        if plan is None:
            raise PlanError("There is no plan yet.", "Begin one: `handbook plan start`, or on the Plan page.")
        return plan

    def _keep(self, plan: Plan, why: str) -> Plan:
        self.rows.add(plan.to_dict(), why, self._clock())
        return plan

    def _compared(self, plan: Plan, before: Calendar | None) -> Change:
        after = self.calendar()
        assert after is not None
        return Change(plan, planned.compared(before, after, plan, self.day()))

    def _deal(self, plan: Plan, day: dt.date, done: list[Item]) -> Session:
        """Deal the day anew; `done` stays in it, and the rest fits beside it."""
        at = self._clock()
        due = [each.question.id for each in self.deck.due(at) if not each.again]
        allowed = {question.id for question in self.deck.new(at=at)}
        dealt = daily.session(plan, self.graph, self._done(), day, due, self._review_minutes(), allowed)
        return planned.beside(dealt, done)

    def _review_minutes(self) -> float | None:
        own = self.deck.pace()
        return round(own.seconds / 60, 1) if own.answers else None

    def _done(self) -> Done:
        states = self.practice.states()
        return Done(
            read=frozenset(self.rows.read_at()),
            solved=frozenset(self.practice.solved()),
            tried={name: local_day(at) for name, at in self.rows.tried_at().items()},
            due={name: local_day(row["due"]) for name, row in states.items() if row["due"] is not None},
            seen=frozenset(name for name, state in self.deck.states().items() if not state.new),
        )

    def _done_today(self, day: dt.date, items: tuple[Item, ...]) -> frozenset[str]:
        """Keys of items that what is kept shows to be done."""
        read = self.rows.read_at()
        since = dt.datetime.combine(day, dt.time.min).astimezone()
        asked = {row["question"] for row in self.deck.rows.facts(since=since, kinds=ASKED)}
        states = self.practice.states()

        def ended(name: str) -> bool:
            row = states.get(name, {})
            moments = [row.get("solved"), row.get("gave_up")]
            return any(at is not None and local_day(at) == day for at in moments)

        found = set()
        for item in items:
            if item.kind == "read":
                good = item.id in read
            elif item.kind == "exercise":
                good = ended(item.id)
            else:
                good = item.id in asked
            if good:
                found.add(item.key)
        return frozenset(found)

    def _current(self) -> Diagnostic:
        plan = self.plan()
        answers = self.diagnosing.answers()
        at = self._clock()
        memory = self.deck.memory()
        known = {
            name: chance
            for name, state in self.deck.states().items()
            if (chance := memory.retrievability(state.card, at)) is not None
        }
        level = plan.level if plan else self.diagnosing.level()
        return merged(self.graph, level, answers, self.deck.rows.reviews(), known)
