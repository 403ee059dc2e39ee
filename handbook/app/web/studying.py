"""A plan, its day and its calendar as the pages show them: grouped, counted, and in words."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handbook.errors import PlanError

if TYPE_CHECKING:
    from handbook.practice.daily import Calendar, Session
    from handbook.practice.graph import Graph
    from handbook.practice.material import Item
    from handbook.practice.plan import Plan
    from handbook.practice.study import Study, Today

FOLD = 3  # reviews in a row that are shown as they are; more are one line
KINDS = {"review": "Review", "read": "Read", "exercise": "Exercise", "question": "New question"}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LEVELS = {
    "foundation": "Foundation: how the parts fit",
    "senior": "Senior: builds it, says why",
    "lead": "Lead: chooses for a team",
    "architect": "Architect: across systems",
}


def on(day: dt.date) -> str:
    """`23 November`; with the year where it is another one than today's."""
    year = "" if day.year == dt.date.today().year else f" {day.year}"
    return f"{day.day}\N{NO-BREAK SPACE}{day:%B}{year}"


def countdown(date: dt.date | None, day: dt.date) -> str:
    """How far the interview is away, as a sentence."""
    if date is None:
        return "No interview date yet."
    days = (date - day).days
    if days < 0:
        return f"The interview was on {on(date)}."
    if days < 2:
        return "The interview is today." if days == 0 else "The interview is tomorrow."
    return f"{days} days to the interview on {on(date)}."


# A day


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the session: one item, or several reviews. ticked: by the reader, who can untick it."""

    kind: str
    items: tuple["Item", ...]
    done: int
    ticked: bool

    @property
    def all_done(self) -> bool:
        return self.done == len(self.items)

    @property
    def minutes(self) -> float:
        return sum(each.minutes for each in self.items)


@dataclass(frozen=True, slots=True)
class Day:
    """The session of today. next: what comes now, None when all is done."""

    day: dt.date
    rows: tuple[Row, ...]
    count: int
    done: int
    left: int
    next: "Item | None"
    session: "Session"
    countdown: str

    @property
    def heading(self) -> str:
        return f"{WEEKDAYS[self.day.weekday()]}, {self.day.day} {self.day:%B}"


def day_of(study: "Study", plan: "Plan", today: "Today") -> Day:
    from handbook.practice.planned import marked

    kept = study.rows.day(study.day())
    ticked = marked(kept["values"]) if kept else frozenset()
    rows: list[Row] = []
    reviews = [item for item in today.session.items if item.kind == "review"]
    if len(reviews) > FOLD:
        rows.append(Row("review", tuple(reviews), sum(item.key in today.done for item in reviews), False))
    for item in today.session.items:
        if item.kind != "review" or len(reviews) <= FOLD:
            rows.append(Row(item.kind, (item,), int(item.key in today.done), item.key in ticked))
    done = sum(item.key in today.done for item in today.session.items)
    return Day(
        today.session.day,
        tuple(rows),
        len(today.session.items),
        done,
        round(today.left),
        today.next,
        today.session,
        countdown(plan.date, today.session.day),
    )


# The calendar


@dataclass(frozen=True, slots=True)
class Cell:
    """A day of the calendar. state: planned, free (time, nothing to do), off (no time), away, gone (before
    today) or interview. minutes: planned."""

    day: dt.date
    state: str
    minutes: int = 0
    limit: int = 0
    items: tuple["Item", ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        return f"{WEEKDAYS[self.day.weekday()]}, {on(self.day)}"


@dataclass(frozen=True, slots=True)
class Week:
    """From a Monday. holds: in words."""

    start: dt.date
    cells: tuple[Cell, ...]
    holds: str

    @property
    def name(self) -> str:
        return f"{self.start.day} {self.start:%b}"

    @property
    def dealt(self) -> tuple[Cell, ...]:
        return tuple(each for each in self.cells if each.items or each.notes)


def weeks(calendar: "Calendar", plan: "Plan", graph: "Graph") -> list[Week]:
    """Every week to the date, the first one from its Monday on."""
    if not calendar.sessions:
        return []
    by_day = {each.day: each for each in calendar.sessions}
    first, last = calendar.sessions[0].day, max(by_day)
    start = first - dt.timedelta(days=first.weekday())
    found = []
    while start <= last:
        days = [start + dt.timedelta(days=n) for n in range(7)]
        cells = tuple(_cell(day, by_day.get(day), plan) for day in days)
        found.append(Week(start, cells, _holds(cells, graph)))
        start += dt.timedelta(days=7)
    return found


def _cell(day: dt.date, session: "Session | None", plan: "Plan") -> Cell:
    if session is None:
        return Cell(day, "gone")
    state = "planned" if session.items else "free"
    if not session.limit:
        state = "away" if any(first <= day <= last for first, last in plan.away) else "off"
    if day == plan.date:
        state = "interview"
    return Cell(day, state, round(session.minutes), session.limit, session.items, session.notes)


def _holds(cells: Iterable[Cell], graph: "Graph") -> str:
    """`Transformer deep dive (5 sections); 2 exercises; 9 new questions; 14 reviews.`"""
    items = [item for cell in cells for item in cell.items]
    chapters = Counter(graph.concepts[item.id].chapter for item in dict.fromkeys(
        item for item in items if item.kind == "read" and item.id in graph.concepts
    ))  # fmt: skip
    reviews = sum(int(item.title.split()[0]) for item in items if item.kind == "review")
    said = [
        f"{graph.titles[slug]} ({count} {'section' if count == 1 else 'sections'})"
        for slug, count in chapters.items()
    ]
    for kind, noun in (("exercise", "exercise"), ("question", "new question")):
        count = sum(item.kind == kind for item in items)
        if count:
            said.append(f"{count} {noun}{'' if count == 1 else 's'}")
    if reviews:
        said.append(f"{reviews} review{'' if reviews == 1 else 's'}")
    return "; ".join(said)


def by_chapter(items: Sequence["Item"], graph: "Graph") -> list[tuple[str, list["Item"]]]:
    """Sections and exercises under the titles of their chapters, in order."""
    found: dict[str, list[Item]] = {}
    for item in items:
        chapter = graph.places.get(item.id, item.id).partition("#")[0]
        found.setdefault(graph.titles.get(chapter, chapter), []).append(item)
    return list(found.items())


# What a form says


def date_of(text: str, what: str = "date") -> dt.date | None:
    """Raises PlanError for what is none; "" is no date."""
    if not text.strip():
        return None
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError as error:
        raise PlanError(
            f"Expected a {what} like {dt.date.today().isoformat()}, got {text[:40]!r}.", "Correct it."
        ) from error


def answers(form: Mapping[str, str]) -> dict[str, object]:
    """What the plan's form says, as `Study.start` takes it. Raises PlanError for what can't be read."""
    hours = form.get("hours", "").strip().replace(",", ".")
    try:
        number = float(hours)
    except ValueError as error:
        raise PlanError(f"Expected hours a week, got {hours[:40]!r}.", "Say a number, such as 6.") from error
    return {
        "date": date_of(form.get("date", "")),
        "hours": number,
        "level": form.get("level", "lead"),
        "role": form.get("role", "lead"),
        "track": form.get("track", ""),
        "days": tuple(n for n in range(7) if form.get(f"day-{n}")),
    }
