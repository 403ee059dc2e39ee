"""Study plans in the database: plans as they were decided, diagnostics, and the session of each day.

The rows themselves; what is in a plan is `handbook.practice.plan`'s. All methods are short transactions and
may be called from any thread. Rows come as plain mappings, by column.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select

from handbook.database.practice import storable
from handbook.database.store import Database, as_dict
from handbook.database.tables import Attempt, DayRow, DiagnosticRow, PlanRow, ReadSection, now


class Plans:
    """The tables of plans, diagnostics and days."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Plans: rows are only added, so that each change can be undone

    def current(self) -> dict[str, Any] | None:
        """The plan that holds: the highest number that is not undone."""
        statement = select(PlanRow).where(~PlanRow.undone).order_by(PlanRow.number.desc()).limit(1)
        with self._database.session(reads=True) as session:
            row = session.scalar(statement)
            return None if row is None else as_dict(row)

    def add(self, values: Mapping[str, Any], why: str, at: datetime | None = None) -> dict[str, Any]:
        """Keep a plan; it holds from now on."""
        with self._database.session() as session:
            number = session.scalar(select(func.max(PlanRow.number))) or 0
            row = PlanRow(
                key=uuid4().hex,
                number=number + 1,
                values=storable(values),
                why=str(storable(why)),
                undone=False,
                at=at or now(),
            )
            session.add(row)
            session.flush()
            return as_dict(row)

    def undo(self) -> dict[str, Any] | None:
        """Mark the plan that holds as undone; that row, None where there is none. The one before holds."""
        statement = select(PlanRow).where(~PlanRow.undone).order_by(PlanRow.number.desc()).limit(1)
        with self._database.session() as session:
            row = session.scalar(statement.with_for_update())
            if row is None:
                return None
            row.undone = True
            session.flush()
            return as_dict(row)

    def history(self, limit: int = 50) -> list[dict[str, Any]]:
        """All plans, those undone too, the newest first."""
        statement = select(PlanRow).order_by(PlanRow.number.desc()).limit(limit)
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    # Diagnostics

    def open_diagnostic(self) -> dict[str, Any] | None:
        """The newest that has not ended."""
        statement = select(DiagnosticRow).where(DiagnosticRow.ended.is_(None))
        return self._first(statement.order_by(DiagnosticRow.begun.desc()))

    def last_diagnostic(self) -> dict[str, Any] | None:
        """The newest that has ended."""
        statement = select(DiagnosticRow).where(DiagnosticRow.ended.is_not(None))
        return self._first(statement.order_by(DiagnosticRow.ended.desc()))

    def diagnostics(self) -> list[dict[str, Any]]:
        """All, the newest first."""
        statement = select(DiagnosticRow).order_by(DiagnosticRow.begun.desc())
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    def begin_diagnostic(self, state: Mapping[str, Any]) -> str:
        """Its key."""
        row = DiagnosticRow(key=uuid4().hex, state=storable(state), begun=now(), ended=None)
        with self._database.session() as session:
            session.add(row)
        return row.key

    def save_diagnostic(
        self, key: str, state: Mapping[str, Any], *, answers: int | None = None, ended: datetime | None = None
    ) -> bool:
        """Keep how far it is. answers: how many it held when this change was begun; where it holds another
        number by now (a second window), nothing is written and False comes back."""
        with self._database.session() as session:
            row = session.get(DiagnosticRow, key, with_for_update=True)
            if row is None or (answers is not None and len(row.state.get("answers", [])) != answers):
                return False
            row.state = storable(state)
            row.ended = ended or row.ended
        return True

    def forget_diagnostic(self, key: str) -> None:
        with self._database.session() as session:
            row = session.get(DiagnosticRow, key)
            if row is not None:
                session.delete(row)

    # Days

    def day(self, day: date) -> dict[str, Any] | None:
        """The session of a day as it was dealt."""
        with self._database.session(reads=True) as session:
            row = session.get(DayRow, day.isoformat())
            return None if row is None else as_dict(row)

    def save_day(self, day: date, values: Mapping[str, Any], at: datetime | None = None) -> None:
        with self._database.session() as session:
            session.merge(DayRow(day=day.isoformat(), values=storable(values), at=at or now()))

    def forget_day(self, day: date) -> None:
        with self._database.session() as session:
            row = session.get(DayRow, day.isoformat())
            if row is not None:
                session.delete(row)

    def days(self, since: date) -> list[dict[str, Any]]:
        """The oldest first."""
        statement = select(DayRow).where(DayRow.day >= since.isoformat()).order_by(DayRow.day)
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    # What was done, by moment

    def read_at(self) -> dict[str, datetime]:
        """`chapter#section` -> when it was marked as read."""
        with self._database.session(reads=True) as session:
            return {f"{row.chapter}#{row.section}": row.at for row in session.scalars(select(ReadSection))}

    def tried_at(self) -> dict[str, datetime]:
        """Exercise -> when it was last run."""
        statement = select(Attempt.exercise, func.max(Attempt.at)).group_by(Attempt.exercise)
        with self._database.session(reads=True) as session:
            return {row[0]: row[1] for row in session.execute(statement)}

    def _first(self, statement: Any) -> dict[str, Any] | None:
        with self._database.session(reads=True) as session:
            row = session.scalar(statement.limit(1))
            return None if row is None else as_dict(row)
