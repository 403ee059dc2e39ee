"""What there is to do until the date, what of it fits, and what does not: by name.

Reading and exercises are counted in minutes (assumptions, stated below) against the room that the days have
for new material. What fits is chosen by worth: sections that the diagnostic found shaky first, then those
that the role is asked about, and of exercises the first of each pattern; a section brings what it rests on
with it. They are read in the order of the track, the shaky ones before the others. What is solid is not read
again.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from handbook.practice.diagnostic import LEVELS
from handbook.practice.plan import FURTHEST

if TYPE_CHECKING:
    from handbook.book.nouns import Exercise
    from handbook.practice.graph import Concept, Graph
    from handbook.practice.plan import Plan

Kind = Literal["review", "read", "exercise", "question"]

# Words a minute, for prose with formulas in it: adults read plain non-fiction at about 238 (Brysbaert 2019,
# "How many words do we read per minute?", abstract); the lower rate and the minutes are our assumptions.
RATE = 150
BLOCK = 0.4  # minutes for a displayed formula or a piece of code
QUESTION = 4.0  # minutes for a question that is new: typing, comparing, reading the model answer
REVIEW = 2.5  # minutes for a question that comes again, until the person's own pace is known
NEW = 0.6  # share of a day for reading and exercises; the rest is for questions
EXERCISES = 0.45  # of that, for exercises, where there is enough to read
OPEN_END = 84  # days to spread over while there is no date
TAPER = 0.15  # of all the days, the last ones, without new material; at most a week
SHAKY = 1.6  # how much more a shaky section is worth than an unknown one


@dataclass(frozen=True, slots=True)
class Item:
    """Something to do. id: a section (`chapter#section`), a question or an exercise. why: in words."""

    kind: Kind
    id: str
    title: str
    url: str
    minutes: float
    why: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Done:
    """What has been done so far. read: sections. solved: exercises that passed at least once. tried: exercise
    -> day of its last run. due: exercise -> day on which it comes again. seen: questions with a card."""

    read: frozenset[str] = frozenset()
    solved: frozenset[str] = frozenset()
    tried: Mapping[str, dt.date] = field(default_factory=dict)
    due: Mapping[str, dt.date] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Material:
    """sections, exercises: what is planned, in order. left_out: what does not fit. known: sections that are
    not planned because they are solid. unwritten: chapters of the track that are not written yet. wanted,
    room: minutes that everything takes, and that the days have for it."""

    sections: tuple[Item, ...]
    exercises: tuple[Item, ...]
    left_out: tuple[Item, ...]
    known: tuple[Item, ...]
    unwritten: tuple[str, ...]
    wanted: float
    room: float


def horizon(plan: Plan, day: dt.date) -> dt.date:
    """The day of the interview; twelve weeks on while there is none. Never beyond what a plan can reach: one
    that was imported may say any day."""
    if plan.date is None:
        return day + dt.timedelta(days=OPEN_END)
    return min(plan.date, day + dt.timedelta(days=FURTHEST))


def study_days(plan: Plan, day: dt.date, end: dt.date) -> list[dt.date]:
    """Days from `day` on that have time for something new."""
    last = fresh_until(plan, end)
    every = (day + dt.timedelta(days=n) for n in range(max(0, (last - day).days)))
    return [each for each in every if plan.minutes_on(each) > 0]


def fresh_until(plan: Plan, end: dt.date) -> dt.date:
    """The first day that brings nothing new: what was learned last has to come again before the date."""
    if plan.date is None:
        return end
    return end - dt.timedelta(days=min(7, int(max(0, (end - plan.begun).days) * TAPER)))


def material(plan: Plan, graph: Graph, done: Done, day: dt.date) -> Material:
    """What is left to do from `day` on."""
    limits = [plan.minutes_on(each) for each in study_days(plan, day, horizon(plan, day))]
    room = NEW * sum(limits)
    longest = max(limits, default=0)
    slugs = chapters(plan, graph)
    unread = [
        concept
        for slug in slugs
        for concept in graph.of(slug)
        if concept.written and concept.id not in done.read and concept.id not in plan.solid
    ]
    shaky = [concept.id for concept in unread if concept.id in plan.shaky]
    order = graph.in_order([*shaky, *(concept.id for concept in unread)])
    open_ = _exercises(plan, graph, done, order)
    reading = {id: minutes(graph.concepts[id]) for id in order}
    wanted = sum(reading.values()) + sum(each.minutes for each in open_)
    doable = [each for each in open_ if each.minutes <= longest]
    for_exercises = max(EXERCISES * room, room - sum(reading.values()))
    kept_exercises, used = _fitting(doable, for_exercises, plan, graph)
    kept = _sections(order, reading, room - used, plan, graph)
    where = "before you stop taking in new material" if plan.date else f"in {OPEN_END} days"
    left = [
        _read(graph, id, f"does not fit {where}") for id in order if id not in kept and room + longest > 0
    ]
    left += [_read(graph, id, "the plan has no time") for id in order if not room and not longest]
    for each in open_:
        if each.name not in kept_exercises:
            why = f"does not fit {where}" if each.minutes <= longest else _too_long(each, longest)
            left.append(_exercise(each, why))
    return Material(
        sections=tuple(_read(graph, id, _why(plan, id)) for id in order if id in kept),
        exercises=tuple(_exercise(each) for each in open_ if each.name in kept_exercises),
        left_out=tuple(left),
        known=tuple(
            _read(graph, id, "solid in the diagnostic")
            for id in plan.solid
            if id in graph.concepts and id not in done.read
        ),
        unwritten=tuple(slug for slug in slugs if not any(c.written for c in graph.of(slug))),
        wanted=wanted,
        room=room,
    )


def chapters(plan: Plan, graph: Graph) -> tuple[str, ...]:
    """The track's chapters in order, then those that it leaves out."""
    steps = graph.tracks.get(plan.track, ())
    return tuple(dict.fromkeys([slug for _, slugs in steps for slug in slugs] + list(graph.chapters)))


def minutes(concept: Concept) -> float:
    """That reading a section takes."""
    return max(1.0, round(concept.words / RATE + concept.math * BLOCK, 1))


def title(graph: Graph, id: str) -> str:
    concept = graph.concepts[id]
    return f"{graph.titles[concept.chapter]}: {concept.title}"


def _sections(
    order: Sequence[str], reading: Mapping[str, float], room: float, plan: Plan, graph: Graph
) -> set[str]:
    """Those that fit, each with what it rests on."""
    focus, place = plan.focus(), {id: number for number, id in enumerate(order)}

    def worth(id: str) -> float:
        return (SHAKY if id in plan.shaky else 1.0) * focus.get(graph.concepts[id].area, 1.0)

    kept: set[str] = set()
    used = 0.0
    for id in sorted(order, key=lambda id: (-worth(id), place[id])):
        needed = [each for each in (id, *graph.before(id)) if each in place and each not in kept]
        cost = sum(reading[each] for each in needed)
        if used + cost <= room:
            kept.update(needed)
            used += cost
    return kept


def _exercises(plan: Plan, graph: Graph, done: Done, order: Sequence[str]) -> list[Exercise]:
    """Those not solved yet, not above the level by more than one, in the order of the sections."""
    highest = LEVELS.index(plan.level) + 1
    place = {id: number for number, id in enumerate(order)}
    found = [
        each
        for each in graph.exercises.values()
        if each.name not in done.solved and LEVELS.index(each.level) <= highest
    ]
    return sorted(found, key=lambda each: place.get(graph.places[each.name], -1))


def _fitting(exercises: Sequence[Exercise], room: float, plan: Plan, graph: Graph) -> tuple[set[str], float]:
    """Names that fit and their minutes: the first of each pattern before the second of any."""
    focus = plan.focus()
    nth: Counter[str] = Counter()
    ranked = []
    for number, each in enumerate(exercises):
        area = graph.concepts[graph.places[each.name]].area
        weight = focus.get(area, 1.0) * (SHAKY if graph.places[each.name] in plan.shaky else 1.0)
        ranked.append((nth[each.pattern] - weight, number, each))
        nth[each.pattern] += 1
    kept: set[str] = set()
    used = 0.0
    for _, _, each in sorted(ranked, key=lambda row: row[:2]):
        if used + each.minutes <= room:
            kept.add(each.name)
            used += each.minutes
    return kept, used


def _why(plan: Plan, id: str) -> str:
    return "shaky in the diagnostic" if id in plan.shaky else "next on your track"


def _too_long(exercise: Exercise, longest: float) -> str:
    if not longest:
        return "the plan has no time"
    return f"takes {exercise.minutes} minutes, and your days have {longest}"


def _read(graph: Graph, id: str, why: str) -> Item:
    concept = graph.concepts[id]
    return Item("read", id, title(graph, id), concept.url, minutes(concept), why)


def _exercise(exercise: Exercise, why: str = "") -> Item:
    return Item(
        "exercise", exercise.name, exercise.title, f"/exercise/{exercise.name}", exercise.minutes, why
    )
