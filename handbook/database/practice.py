"""Exercises in the database: attempts with what the judge said, drafts, and how the reader stands with each.

The rows themselves; what makes an exercise due is `handbook.practice.due`'s. All methods are short
transactions and may be called from any thread.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from handbook.database.store import Database, as_dict
from handbook.database.tables import Attempt, ExerciseDraft, ExerciseState, now

LONGEST = 20_000  # characters of one text of a report that is kept
DEEPEST = 16
LARGEST = 2**53  # of a whole number in a report: beyond it JSON's readers differ


class Practice:
    """The tables of exercises. Rows come as plain mappings, by column."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Attempts

    def save_attempt(
        self,
        exercise: str,
        code: str,
        verdicts: Sequence[Mapping[str, Any]],
        *,
        solved: bool,
        report: Mapping[str, Any] | None = None,
        wall: float = 0.0,
        cpu: float = 0.0,
        memory: int = 0,
        hints: int = 0,
    ) -> int:
        """Keep an attempt; its number. verdicts: mappings with `state` or `passed`. report: all else."""
        rows = [storable(verdict) for verdict in verdicts]
        attempt = Attempt(
            exercise=exercise,
            code=code,
            passed=sum(has_passed(row) for row in rows),
            total=len(rows),
            results=rows,
            solved=solved,
            report=storable(report or {}),
            wall=_finite(wall),
            cpu=_finite(cpu),
            memory=min(max(int(memory), 0), 2**62),
            hints=hints,
        )
        with self._database.session() as session:
            session.add(attempt)
        return attempt.id

    def attempts(self, exercise: str, limit: int = 50) -> list[dict[str, Any]]:
        """The newest first."""
        statement = (
            select(Attempt).where(Attempt.exercise == exercise).order_by(Attempt.id.desc()).limit(limit)
        )
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    def attempt(self, id: int) -> dict[str, Any] | None:
        with self._database.session(reads=True) as session:
            row = session.get(Attempt, id)
            return None if row is None else as_dict(row)

    def newest(self) -> dict[str, tuple[int, int]]:
        """Of each exercise that was tried: how many tests passed in its last attempt, of how many."""
        last = select(func.max(Attempt.id)).group_by(Attempt.exercise)
        statement = select(Attempt.exercise, Attempt.passed, Attempt.total).where(Attempt.id.in_(last))
        with self._database.session(reads=True) as session:
            return {name: (passed, total) for name, passed, total in session.execute(statement)}

    def failed_since(self, exercise: str, begun: datetime) -> int:
        """Attempts of a round of which a test ran and failed; code that did not load is a slip, no try."""
        mine = (Attempt.exercise == exercise, Attempt.at >= begun, Attempt.passed < Attempt.total)
        with self._database.session(reads=True) as session:
            reports = session.scalars(select(Attempt.report).where(*mine))
            return sum(not report.get("broken") for report in reports)

    def solved(self) -> set[str]:
        """Exercises with at least one attempt that passed every test."""
        with self._database.session(reads=True) as session:
            return set(session.scalars(select(Attempt.exercise).where(Attempt.solved).distinct()))

    # Drafts

    def draft(self, exercise: str) -> dict[str, Any] | None:
        with self._database.session(reads=True) as session:
            row = session.get(ExerciseDraft, exercise)
            return None if row is None else as_dict(row)

    def save_draft(
        self, exercise: str, code: str, base: datetime | None = None, replace: bool = False
    ) -> datetime:
        """Keep what stands in the editor; the moment that it has from now on.

        base: the moment of the draft that was typed on. Where another one stands by now (a second window), or
        with `replace` (a restored attempt), what stood there is kept as `before`.
        """
        at = now()
        with self._database.session() as session:
            row = session.get(ExerciseDraft, exercise, with_for_update=True)
            if row is None:
                session.add(ExerciseDraft(exercise=exercise, code=code, before="", at=at))
                return at
            if row.code == code:
                return row.at
            if (replace or base != row.at) and row.code.strip():
                row.before = row.code
            row.code, row.at = code, at
        return at

    def undo_draft(self, exercise: str) -> bool:
        """Change the draft for the one before it, and that for it. False where there is none."""
        with self._database.session() as session:
            row = session.get(ExerciseDraft, exercise, with_for_update=True)
            if row is None or not row.before:
                return False
            row.code, row.before, row.at = row.before, row.code, now()
        return True

    # States

    def state(self, exercise: str) -> dict[str, Any] | None:
        with self._database.session(reads=True) as session:
            row = session.get(ExerciseState, exercise)
            return None if row is None else as_dict(row)

    def states(self) -> dict[str, dict[str, Any]]:
        with self._database.session(reads=True) as session:
            return {row.exercise: as_dict(row) for row in session.scalars(select(ExerciseState))}

    def change_state(self, exercise: str, **values: Any) -> dict[str, Any]:
        """The state after the change; a round begins with the first one. hints never go down within a round
        (a second window may send an earlier one later); with `begun` a new round begins."""
        with self._database.session() as session:
            row = session.get(ExerciseState, exercise, with_for_update=True)
            if row is None:
                row = ExerciseState(exercise=exercise, hints=0, begun=now(), card={})
                session.add(row)
            if "hints" in values and "begun" not in values:
                values["hints"] = max(values["hints"], row.hints)
            for name, value in values.items():
                setattr(row, name, value)
            row.at = now()
            session.flush()
            return as_dict(row)


def has_passed(verdict: Mapping[str, Any]) -> bool:
    """Of a verdict as it is kept: the judge tells a state, handbooks before it told `passed`."""
    return verdict.get("state") == "passed" or verdict.get("passed") is True


def storable(value: Any, depth: int = 0) -> Any:
    """The value as every database keeps it and any JSON reader takes it: texts cut, no null characters, no
    halves of characters; a number that JSON lacks (infinite, or none) as its name."""
    if depth > DEEPEST:
        return "…"
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) <= LARGEST else str(value)[:LONGEST]
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            text = value[:LONGEST].replace("\0", "\N{REPLACEMENT CHARACTER}")
            return text.encode("utf-8", "replace").decode("utf-8")
        case Mapping():
            return {str(storable(str(key))): storable(each, depth + 1) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [storable(each, depth + 1) for each in value]
        case _:
            return storable(str(value), depth)


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else 0.0
