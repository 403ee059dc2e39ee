"""The session of a day, and the calendar to the date: the same dealing, day after day.

A day's minutes are a limit: what is due and does not fit waits for the next one, the most likely forgotten
first. New material is paced evenly over the days that are left, so missed days raise the pace a little
everywhere and never fill a day beyond its limit.

    reviews     what is due, neighbours from different chapters
    read        the next section of the track, more where the pace asks for it
    question    one that is new, from another chapter than what is read today where there is one; more where
                many are left and the day has room
    exercise    one that is due again, else a new one of the pattern that was practised longest ago; on days
                by turns where a day is short

Mixed practice beats practice in blocks for problems that call for choosing a method (Rohrer and Taylor 2007,
"The shuffling of mathematics problems improves learning", Instructional Science 35:481-498): so exercises
change their pattern and questions their chapter. Reading goes through a chapter in order.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from handbook.practice import material as stuff
from handbook.practice.dealing import mixed
from handbook.practice.diagnostic import LEVELS, shortened
from handbook.practice.material import Done, Item, Material

if TYPE_CHECKING:
    from handbook.practice.graph import Graph
    from handbook.practice.plan import Plan

EXERCISE = 0.3  # of the days' minutes go to exercises, over the days
REVIEWS = 0.4  # of a day are kept free for what is due before anything is read
CATCHING_UP = 0.7  # the same while more is due than a whole day holds
STRETCH = 0.8  # an exercise has its turn when so much of its time has been saved up
MOST = 5  # new questions a day
AGAIN = (3, 11, 32)  # days after which a new question comes again, in the calendar's forecast


@dataclass(frozen=True, slots=True)
class Session:
    """What a day holds. limit: its minutes. waiting: reviews that are due and don't fit. notes: what to know
    about it, in words."""

    day: dt.date
    items: tuple[Item, ...]
    limit: int
    waiting: int = 0
    notes: tuple[str, ...] = ()

    @property
    def minutes(self) -> float:
        return round(sum(item.minutes for item in self.items), 1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Sessions to the date, reviews of a day as one item; and what is left out, by name."""

    sessions: tuple[Session, ...]
    material: Material
    notes: tuple[str, ...] = ()


def session(
    plan: Plan,
    graph: Graph,
    done: Done,
    day: dt.date,
    due: Sequence[str] = (),
    review_minutes: float | None = None,
    allowed: Collection[str] | None = None,
) -> Session:
    """Deal a day. due: questions, the most likely forgotten first. allowed: questions that may be new today
    (siblings of those that are asked today may not); all by default."""
    each = review_minutes or stuff.REVIEW
    reviews = [_question(graph, id, "review", each, "due") for id in due if id in graph.questions]
    end = stuff.horizon(plan, day)
    return _deal(plan, graph, done, day, end, stuff.material(plan, graph, done, day), reviews, allowed)


def calendar(
    plan: Plan,
    graph: Graph,
    done: Done,
    day: dt.date,
    load: Mapping[dt.date, int] | None = None,
    review_minutes: float | None = None,
) -> Calendar:
    """Every day from `day` to the date, dealt as if each day's session were done. load: reviews by day that
    cards which exist will bring; those of questions that are new until then are guessed."""
    whole = stuff.material(plan, graph, done, day)
    coming = dict(load or {})
    sessions = []
    left, waiting, end = whole, 0, stuff.horizon(plan, day)
    for today in _days(day, end):
        waiting += coming.pop(today, 0)
        each = review_minutes or stuff.REVIEW
        reviews = [Item("review", "", "Reviews", "/drill", each) for _ in range(waiting)]
        dealt = _deal(plan, graph, done, today, end, left, reviews, None)
        held = [item for item in dealt.items if item.kind == "review"]
        waiting -= len(held)
        others = tuple(item for item in dealt.items if item.kind != "review")
        if held:
            minutes = round(each * len(held), 1)
            what = f"{len(held)} reviews" if len(held) > 1 else "1 review"
            others = (Item("review", "", what, "/drill", minutes, "expected"), *others)
        sessions.append(replace(dealt, items=others, waiting=waiting))
        for item in others:
            if item.kind == "question":
                for gap in AGAIN:
                    then = today + dt.timedelta(days=gap)
                    coming[then] = coming.get(then, 0) + 1
        done, left = _after(done, left, others, today)
    missed = {item.id for item in (*left.sections, *left.exercises)}
    missed -= {item.id for each in sessions for item in each.items}  # begun on the last days, in pieces
    if missed:  # the days did have the minutes, but not in pieces that are long enough
        rest = [item for item in (*whole.sections, *whole.exercises) if item.id in missed]
        whole = replace(
            whole,
            sections=tuple(item for item in whole.sections if item.id not in missed),
            exercises=tuple(item for item in whole.exercises if item.id not in missed),
            left_out=(*whole.left_out, *(replace(item, why="no day has room for it") for item in rest)),
        )
    return Calendar(tuple(sessions), whole, notes(plan, whole, day))


def notes(plan: Plan, left: Material, day: dt.date) -> tuple[str, ...]:
    """What to know about a plan, in words."""
    found = []
    if plan.past(day):
        found.append("The date of the interview has passed. Reviews go on; move the date, or begin anew.")
    elif plan.hours == 0:
        found.append("The plan has no time in it: give it hours, and it deals sessions.")
    if left.left_out and plan.hours and not plan.past(day):
        sections = sum(item.kind == "read" for item in left.left_out)
        exercises = len(left.left_out) - sections
        found.append(
            f"Not everything fits: {sections} sections and {exercises} exercises are left out, named below. "
            f"What there is takes about {left.wanted / 60:.0f} hours, and your days have "
            f"{left.room / 60:.0f} for new material."
        )
    if left.unwritten:
        found.append(f"{len(left.unwritten)} chapters of the track are not written yet.")
    return tuple(found)


def _days(day: dt.date, end: dt.date) -> Iterator[dt.date]:
    """From `day` to the end, that day included."""
    for number in range((end - day).days + 1):
        yield day + dt.timedelta(days=number)


def _deal(
    plan: Plan,
    graph: Graph,
    done: Done,
    day: dt.date,
    end: dt.date,
    left: Material,
    reviews: Sequence[Item],
    allowed: Collection[str] | None,
) -> Session:
    limit = plan.minutes_on(day)
    room = float(limit)
    new = day < stuff.fresh_until(plan, end) and not plan.past(day)
    days = len(stuff.study_days(plan, day, end)) or 1
    owed = sum(item.minutes for item in reviews)
    exercise = _exercise(plan, graph, done, day, left, room, new and owed <= limit)
    room -= exercise.minutes if exercise else 0.0
    reserved = min(owed, (CATCHING_UP if owed > limit else REVIEWS) * limit, room)
    read = _reading(left, days, limit, room - reserved) if new else []
    room -= sum(item.minutes for item in read)
    fresh = _fresh(plan, graph, done, read, allowed) if new else []
    questions = fresh[:1] if fresh and fresh[0].minutes <= room - reserved / 2 else []
    room -= sum(item.minutes for item in questions)
    held: list[Item] = []
    for item in reviews:
        if item.minutes > room:
            break
        held.append(item)
        room -= item.minutes
    unseen = len(graph.questions) - len(done.seen)
    for item in fresh[1 : min(MOST, round(unseen / days))] if questions else []:
        if item.minutes <= room:
            questions.append(item)
            room -= item.minutes
    waiting = len(reviews) - len(held)
    said: list[str] = []
    if waiting and limit:
        what = "1 more review is" if waiting == 1 else f"{waiting} more reviews are"
        said.append(f"{what} due than this day has room for; what waits is not lost.")
        if owed > limit:
            said.append("Until that is caught up, reviews have the larger part of the day.")
    if plan.date == day:
        said.append("The day of the interview: nothing new.")
    elif not new and limit and not plan.past(day) and plan.date is not None:
        said.append("From here on nothing new: what you learned comes again before the date.")
    items = (*_mixed(held, graph), *read, *questions, *([exercise] if exercise else []))
    return Session(day, items, limit, waiting, tuple(said))


def _reading(left: Material, days: int, limit: int, room: float) -> list[Item]:
    """The next section, and more until the day's part of what is left has been dealt."""
    if not left.sections or room <= 0:
        return []
    pace = sum(item.minutes for item in left.sections) / days
    found: list[Item] = []
    for item in left.sections:
        used = sum(each.minutes for each in found)
        if found and used + item.minutes / 2 > pace:
            break
        if item.minutes > room - used:
            if not found and item.minutes > limit * stuff.NEW:
                why = f"{item.why}; about {item.minutes:.0f} minutes, so it takes more than a day"
                found.append(replace(item, minutes=round(room, 1), why=why))
            break
        found.append(item)
    return found


def _fresh(
    plan: Plan, graph: Graph, done: Done, read: Sequence[Item], allowed: Collection[str] | None
) -> list[Item]:
    """Questions that were not asked before, of what is known or read: one of a section, chapters by turns,
    those of which least was asked first, and today's chapter last."""
    today = {item.id for item in read}
    chapters = {id.partition("#")[0] for id in today}
    known = done.read | set(plan.solid) | set(plan.shaky) | today
    highest = LEVELS.index(plan.level) + 1
    asked = Counter(graph.places[id].partition("#")[0] for id in done.seen if id in graph.places)
    found: list[tuple[bool, int, str]] = []
    for section in graph.concepts.values():
        open_ = [
            id
            for id in section.questions
            if id not in done.seen
            and LEVELS.index(graph.questions[id].level) <= highest
            and (allowed is None or id in allowed)
        ]
        if section.id in known and open_:
            first = min(open_, key=lambda id: LEVELS.index(graph.questions[id].level))
            found.append((section.chapter in chapters, asked[section.chapter], first))
            asked[section.chapter] += 1
    chosen = [id for _, _, id in sorted(found, key=lambda row: row[:2])]

    def why(place: str) -> str:
        if place in today:
            return "new, on what is read before it"
        if place in done.read:
            return "new, on what you have read"
        return "new, on what is solid" if place in plan.solid else "new, on what is shaky"

    return [_question(graph, id, "question", stuff.QUESTION, why(graph.places[id])) for id in chosen[:MOST]]


def _exercise(
    plan: Plan, graph: Graph, done: Done, day: dt.date, left: Material, room: float, new: bool
) -> Item | None:
    """What is due again, else, where exercises have their turn, one of the pattern practised longest ago.
    new: whether the day may have one that was not tried."""
    again = [
        graph.exercises[name]
        for name, due in sorted(done.due.items(), key=lambda pair: pair[1])
        if due <= day and name in graph.exercises and graph.exercises[name].minutes <= room
    ]
    if again:
        one = again[0]
        return Item("exercise", one.name, one.title, f"/exercise/{one.name}", one.minutes, "due again")
    if not new:
        return None
    known = done.read | set(plan.solid)
    ready = [item for item in left.exercises if graph.places[item.id] in known and item.minutes <= room]
    ready = ready or [item for item in left.exercises if item.minutes <= room]
    if not ready:
        return None
    last: dict[str, dt.date] = {}
    for name, when in done.tried.items():
        if name in graph.exercises:
            pattern = graph.exercises[name].pattern
            last[pattern] = max(last.get(pattern, when), when)

    def waited(item: Item) -> dt.date:
        return last.get(graph.exercises[item.id].pattern, dt.date.min)

    one_item = min(ready, key=waited)
    if _saved(plan, done, day) < STRETCH * one_item.minutes:
        return None
    pattern = graph.exercises[one_item.id].pattern
    when = waited(one_item)
    why = f"{pattern}: not practised yet" if when == dt.date.min else f"{pattern}: last on {when.isoformat()}"
    return replace(one_item, why=why if pattern else "next on your track")


def _saved(plan: Plan, done: Done, day: dt.date) -> float:
    """Minutes for exercises since the last one; a day's part on the first day is enough to begin."""
    last = max((when for when in done.tried.values() if when < day), default=None)
    if last is None or last < plan.begun:
        return float("inf")
    days = min((day - last).days, 60)
    return EXERCISE * sum(plan.minutes_on(day - dt.timedelta(days=n)) for n in range(days))


def _after(done: Done, left: Material, items: Sequence[Item], day: dt.date) -> tuple[Done, Material]:
    """As if a day's session had been done."""
    ids = {
        kind: {item.id for item in items if item.kind == kind} for kind in ("read", "exercise", "question")
    }
    part = {item.id: item.minutes for item in items if item.kind == "read"}
    sections = []
    for item in left.sections:
        rest = item.minutes - part.get(item.id, 0.0)
        if item.id not in part:
            sections.append(item)
        elif rest > 0.5:
            sections.append(replace(item, minutes=round(rest, 1)))
    read = ids["read"] - {item.id for item in sections}
    return (
        Done(
            read=done.read | read,
            solved=done.solved | ids["exercise"],
            tried={**done.tried, **dict.fromkeys(ids["exercise"], day)},
            due={name: due for name, due in done.due.items() if name not in ids["exercise"]},
            seen=done.seen | ids["question"],
        ),
        replace(
            left,
            sections=tuple(sections),
            exercises=tuple(item for item in left.exercises if item.id not in ids["exercise"]),
        ),
    )


def _mixed(reviews: Sequence[Item], graph: Graph) -> list[Item]:
    """The same reviews, neighbours from different chapters as far as that goes, else in their order."""
    return mixed(reviews, lambda item: graph.questions[item.id].chapter if item.id else "")


def _question(graph: Graph, id: str, kind: stuff.Kind, minutes: float, why: str) -> Item:
    question = graph.questions[id]
    return Item(kind, id, shortened(question.prompt, 120), f"/drill/{id}", round(minutes, 1), why)
