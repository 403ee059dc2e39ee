"""A study plan: until when, how much time, for which role, along which track.

A plan holds decisions, no timetable. What each day brings follows from the plan, from what has been done by
then and from the days that are left (practice/daily.py), so nothing is ever behind: a week that was missed
is time that is gone, and what it would have held is spread over what is left.

    plan = onboard(graph, today, date=date(2027, 1, 15), hours=6, level="lead", role="lead", result=result)
    plan.today(day, ...)                  # practice.daily.session
    replan(plan, first, last)             # no time on these days: missed, or to come
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from handbook.errors import PlanError
from handbook.records import Level

if TYPE_CHECKING:
    from handbook.practice.daily import Session
    from handbook.practice.diagnostic import Result
    from handbook.practice.graph import Graph
    from handbook.practice.material import Done

LEVELS: tuple[Level, ...] = get_args(Level)
FORMAT, VERSION = "handbook-plan", 1
MOST_HOURS = 80.0  # a week
LONGEST_DAY = 12 * 60  # minutes that a day holds at most, however few the days with time are
FURTHEST = 1100  # days until the interview
AWAY = 50  # spans of days without time
NAMES = 2000  # sections named in a plan


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of role. focus: area -> how much it matters, 1 where it is not named."""

    title: str
    focus: Mapping[str, float]


# Which parts a role is asked about most: judgement, to be changed by whoever knows better.
ROLES: Mapping[str, Role] = {
    "lead": Role("Lead across the field", {}),
    "applications": Role(
        "Applications: retrieval, agents, tools",
        {"rag-pipelines": 1.5, "architectures": 1.1, "system-design": 1.2, "model-training": 0.7},
    ),
    "platform": Role(
        "Platform: serving, cost, hardware",
        {"inference-ops": 1.6, "architectures": 1.2, "model-training": 0.8, "rag-pipelines": 0.8},
    ),
    "training": Role(
        "Training: fine-tuning, alignment, data",
        {"model-training": 1.6, "architectures": 1.3, "rag-pipelines": 0.7, "inference-ops": 0.9},
    ),
    "design": Role(
        "Architecture: whole systems and their trade-offs",
        {"system-design": 1.6, "rag-pipelines": 1.2, "inference-ops": 1.2, "machine-learning": 0.8},
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """begun: the first day. date: of the interview, None while there is none. hours: a week. track: id of a
    study path. days: weekdays with time, 0 is Monday. solid, shaky: sections, as the diagnostic found them.
    away: spans (first, last) without time."""

    begun: dt.date
    date: dt.date | None
    hours: float
    level: Level
    role: str
    track: str
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    solid: tuple[str, ...] = ()
    shaky: tuple[str, ...] = ()
    away: tuple[tuple[dt.date, dt.date], ...] = ()

    def minutes_on(self, day: dt.date) -> int:
        """What a day has room for."""
        if day.weekday() not in self.days or any(first <= day <= last for first, last in self.away):
            return 0
        return min(LONGEST_DAY, round(self.hours * 60 / len(self.days)))

    def past(self, day: dt.date) -> bool:
        """Whether the interview was before that day."""
        return self.date is not None and day > self.date

    def focus(self) -> Mapping[str, float]:
        return ROLES[self.role].focus

    def today(
        self, day: dt.date, graph: Graph, done: Done, due: Sequence[str] = (), minutes: float | None = None
    ) -> Session:
        """The session of a day. due: questions, the most likely forgotten first; minutes: of one review."""
        from handbook.practice.daily import session

        return session(self, graph, done, day, due, minutes)

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        values["begun"] = self.begun.isoformat()
        values["date"] = self.date.isoformat() if self.date else None
        values["away"] = [[first.isoformat(), last.isoformat()] for first, last in self.away]
        values |= {name: list(values[name]) for name in ("days", "solid", "shaky")}
        return {"format": FORMAT, "version": VERSION, **values}


def onboard(
    graph: Graph,
    today: dt.date,
    *,
    date: dt.date | None,
    hours: float,
    level: Level = "lead",
    role: str = "lead",
    track: str = "",
    days: Sequence[int] = (0, 1, 2, 3, 4, 5, 6),
    result: Result | None = None,
) -> Plan:
    """A plan from a few answers. track: the one that suits the level where it is not given. Raises PlanError
    naming every answer that can't be used."""
    tracks = list(graph.tracks)
    if not track and tracks:
        track = tracks[-1] if level in ("lead", "architect") else tracks[0]
    plan = Plan(
        begun=today,
        date=date,
        hours=hours,
        level=level,
        role=role,
        track=track,
        days=tuple(sorted(set(days))),
        solid=result.those("solid") if result else (),
        shaky=result.those("shaky") if result else (),
    )
    check(plan, graph, today)
    return plan


def change(plan: Plan, graph: Graph, today: dt.date, **values: Any) -> Plan:
    """The plan with other values (date, hours, level, role, track, days), checked as at its start."""
    changed = replace(plan, **values)
    check(changed, graph, today)
    return changed


def replan(plan: Plan, first: dt.date, last: dt.date) -> Plan:
    """The plan with no time from first to last. What these days would have held is spread over the others."""
    if last < first:
        first, last = last, first
    if (last - first).days > 366:
        raise PlanError("Expected at most a year without time.", "Move the date, or begin a new plan.")
    if (plan.begun - first).days > 366:  # every day since then is dealt to compare
        raise PlanError(
            f"Expected days of this plan, got {first.isoformat()}: it began on {plan.begun.isoformat()}.",
            "Correct the year.",
        )
    spans = sorted({*plan.away, (first, last)})
    if len(spans) > AWAY:
        spans = spans[-AWAY:]
    return replace(plan, away=tuple(spans))


def refreshed(plan: Plan, result: Result) -> Plan:
    """The plan after a diagnostic."""
    return replace(plan, solid=result.those("solid"), shaky=result.those("shaky"))


def check(plan: Plan, graph: Graph, today: dt.date) -> None:
    """Raises PlanError naming every value that can't be used."""
    faults: list[str] = []
    if plan.date is not None and plan.date < today:
        faults.append(f"the interview on {plan.date.isoformat()} is in the past")
    if plan.date is not None and (plan.date - today).days > FURTHEST:
        faults.append(f"the interview is more than {FURTHEST} days away")
    if not (math.isfinite(plan.hours) and 0 <= plan.hours <= MOST_HOURS):
        faults.append(f"hours a week: expected 0 to {MOST_HOURS:g}, got {plan.hours:g}")
    if plan.level not in LEVELS:
        faults.append(f"level: expected one of {', '.join(LEVELS)}, got {plan.level!r}")
    if plan.role not in ROLES:
        faults.append(f"role: expected one of {', '.join(ROLES)}, got {plan.role!r}")
    if plan.track not in graph.tracks:
        faults.append(f"track: expected one of {', '.join(graph.tracks)}, got {plan.track!r}")
    if not plan.days or not set(plan.days) <= set(range(7)):
        faults.append("days: expected one weekday or more, 0 (Monday) to 6")
    if faults:
        raise PlanError(f"This plan can't be made: {'; '.join(faults)}.", "Correct that and try again.")


def from_dict(values: Mapping[str, Any]) -> Plan:
    """A plan as `to_dict` made it. Raises PlanError; an import may hold anything."""
    try:
        if values["format"] != FORMAT or values["version"] != VERSION:
            raise ValueError(f"format {values['format']!r}, version {values['version']!r}")
        known = {*Plan.__dataclass_fields__, "format", "version"}
        if unknown := set(values) - known:
            raise ValueError(f"unknown keys {sorted(map(str, unknown))}")
        hours = values["hours"]
        if isinstance(hours, bool) or not isinstance(hours, int | float):
            raise TypeError(f"hours: expected a number, got {hours!r}")
        if not 0 <= hours <= MOST_HOURS:  # nor what is no number, or beyond all floats
            raise ValueError(f"hours: expected 0 to {MOST_HOURS:g}, got {hours!r}")
        days = values["days"]
        if not isinstance(days, list) or not days or not all(type(d) is int and 0 <= d <= 6 for d in days):
            raise ValueError(f"days: expected weekdays from 0 to 6, got {days!r}")
        if values["level"] not in LEVELS or values["role"] not in ROLES:
            raise ValueError(f"level {values['level']!r}, role {values['role']!r}")
        begun, date = _day(values["begun"]), None if values["date"] is None else _day(values["date"])
        if date is not None and (date - begun).days > 3 * FURTHEST:  # it may have been moved a few times
            raise ValueError(f"date: expected a day near {begun}, got {date}")
        away = values["away"]
        if not isinstance(away, list) or len(away) > AWAY:
            raise ValueError(f"away: expected at most {AWAY} spans")
        return Plan(
            begun=begun,
            date=date,
            hours=float(hours),
            level=values["level"],
            role=values["role"],
            track=_text(values["track"]),
            days=tuple(sorted(set(days))),
            solid=_names(values["solid"]),
            shaky=_names(values["shaky"]),
            away=tuple((_day(first), _day(last)) for first, last in away),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlanError(
            f"Expected a plan of the handbook, got something else: {error}.", "Choose a file from its export."
        ) from error


def _day(value: Any) -> dt.date:
    if not isinstance(value, str):
        raise TypeError(f"expected a date, got {value!r}")
    day = dt.date.fromisoformat(value)
    if not 2000 <= day.year <= 2200:
        raise ValueError(f"expected a day of these times, got {value}")
    return day


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise TypeError("expected a short text")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > NAMES:
        raise TypeError(f"expected a list of at most {NAMES} sections")
    return tuple(_text(each) for each in value)
