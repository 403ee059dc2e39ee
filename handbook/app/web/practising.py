"""What a run, a hint, giving up and beginning anew change in how the reader stands with an exercise.

Everything here works without a database too: then nothing is kept, and a notice on the page says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from handbook.practice import due

if TYPE_CHECKING:
    from handbook.app.web.judging import Run
    from handbook.database import Database
    from handbook.database.practice import Practice
    from handbook.practice.verdicts import Report

Standing = Literal["new", "tried", "solved", "gave up"]


@dataclass(frozen=True, slots=True)
class Kept:
    """attempt: its number. first: whether this run ended the round. due: when it comes again, in words."""

    attempt: int
    first: bool = False
    due: str = ""


def now() -> datetime:
    return datetime.now(UTC)


def practice(database: "Database") -> "Practice":
    from handbook.database.practice import Practice

    return Practice(database)


def keep_draft(database: "Database", name: str, code: str, base: datetime | None) -> datetime:
    return practice(database).save_draft(name, code, base)


def moment(text: str) -> datetime | None:
    """A moment that a page was given and sends back; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def solves(report: "Report", hidden: bool) -> bool:
    """Every test, the hidden ones too, and the growth where that is asked for."""
    return hidden and report.passed and not report.broken


def keep(practice: "Practice", run: "Run") -> Kept:
    """Keep a run that was judged, and what follows from it."""
    report = run.report
    assert report is not None
    name, solved = run.exercise.name, solves(report, run.kind == "all")
    state = practice.change_state(name)  # the round begins before its first attempt
    told = report.asdict()
    verdicts = told.pop("verdicts")
    told["kind"] = run.kind
    attempt = practice.save_attempt(
        name,
        run.code,
        verdicts,
        solved=solved,
        report=told,
        wall=report.wall,
        cpu=report.cpu,
        memory=report.memory,
        hints=state["hints"],
    )
    if solved and ended(state) and state["solved"] is None:
        practice.change_state(name, solved=now())  # after giving up: done, and it comes again as it was
    if not solved or ended(state):
        return Kept(attempt)
    return Kept(attempt, True, _end(practice, name, state, gave_up=False))


def ended(state: Mapping[str, Any] | None) -> bool:
    """Whether the round is over, so that the solution may be seen."""
    return state is not None and (state["solved"] is not None or state["gave_up"] is not None)


def give_up(practice: "Practice", name: str) -> None:
    state = practice.change_state(name)
    if not ended(state):
        _end(practice, name, state, gave_up=True)


def open_hint(practice: "Practice", name: str, number: int) -> int:
    """How many are open then. Hints open in order: the second not before the first."""
    state = practice.state(name)
    opened = state["hints"] if state else 0
    hints: int = practice.change_state(name, hints=min(number, opened + 1))["hints"]
    return hints


def begin_again(practice: "Practice", name: str, starter: str) -> None:
    """A new round: hints closed, the solution hidden, the starter in the editor; what stood there can be
    brought back."""
    practice.change_state(name, begun=now(), hints=0, solved=None, gave_up=None)
    practice.save_draft(name, starter, replace=True)


def standing(state: Mapping[str, Any] | None, tried: bool, solved: bool) -> Standing:
    """In one word. solved: ever; it stays so when the reader does it again."""
    if state is not None and state["gave_up"] is not None and state["solved"] is None:
        return "gave up"
    if solved:
        return "solved"
    return "tried" if tried or state is not None else "new"


def _end(practice: "Practice", name: str, state: Mapping[str, Any], gave_up: bool) -> str:
    """End the round; when the exercise comes again, in words."""
    at = now()
    changes: dict[str, Any] = {"gave_up" if gave_up else "solved": at}
    card = state["card"]
    try:
        fresh = due.counts(card, at)
    except (TypeError, ValueError):
        card, fresh = {}, True  # an import may hold anything
    if fresh:
        failed = practice.failed_since(name, state["begun"])
        grade = due.rating(gave_up=gave_up, hints=state["hints"], failed=failed)
        try:
            changes["card"], changes["due"] = due.repeated(card, grade, at)
        except ValueError:
            changes["card"], changes["due"] = due.repeated({}, grade, at)
    when = changes.get("due") or state["due"]
    practice.change_state(name, **changes)
    return due.in_words(when, at) if when else ""
