"""Imports in the database: rows from a file, kept all or none, with what it takes to take them back.

The rows themselves; what a file may bring is `handbook.practice.exchange`'s. Each method is one transaction.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from handbook.database.cards import Changed, plain
from handbook.database.exchange import rows_to_add
from handbook.database.store import Database, as_dict
from handbook.database.tables import Base, CardRow, ImportRow, ReviewRow

BATCH = 400  # values of one statement
Seen = Mapping[str, Any]  # a card's row as it was read, as `plain` gives it; {} where there was none
GONE = ("review", "correction")  # taken back even if they changed since: they are the import's own


class Imports:
    """The table of imports, and the rows that they add."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def missing(self, state: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """Rows of an export that are not here, by table, checked. Raises DatabaseError with every fault."""
        found: dict[str, list[dict[str, Any]]] = {}
        with self._database.session(reads=True) as session:
            for row in rows_to_add(state, session):
                found.setdefault(row.__tablename__, []).append(as_dict(row))
        return found

    def reviews(self, questions: Iterable[str]) -> list[dict[str, Any]]:
        """key, question and moment of every review of these questions, those that were undone too."""
        columns = (ReviewRow.key, ReviewRow.question, ReviewRow.at, ReviewRow.undone)
        found: list[dict[str, Any]] = []
        with self._database.session(reads=True) as session:
            for some in _batches(sorted(set(questions))):
                rows = session.execute(select(*columns).where(ReviewRow.question.in_(some)))
                found += [dict(row._mapping) for row in rows]
        return found

    def keep(
        self,
        tables: Mapping[str, Sequence[Mapping[str, Any]]],
        cards: Mapping[str, tuple[Seen, Mapping[str, Any]]],
        **about: Any,
    ) -> str:
        """Add these rows and change these cards; the import's key. cards: (as it was read, as it shall be).
        about: kind, name, taken, left_out and at of the import.

        Raises Changed where a card is another one by now; nothing is written then.
        """
        classes = _classes()
        with self._database.session() as session:
            kept: dict[str, list[Any]] = {}
            for name, rows in tables.items():
                added = [classes[name](**row) for row in rows]
                session.add_all(added)
                session.flush()
                kept[name] = [[*_identity(row), _digest(row)] for row in added]
            states = {}
            for question, (seen, values) in cards.items():
                _put(session, question, seen, values)
                states[question] = {"before": dict(seen), "after": plain(values)}
            row = ImportRow(key=uuid4().hex, rows=kept, cards=states, undone=False, **about)
            session.add(row)
        return row.key

    def newest(self, limit: int = 20) -> list[dict[str, Any]]:
        statement = select(ImportRow).order_by(ImportRow.at.desc(), ImportRow.key).limit(limit)
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    def get(self, key: str) -> dict[str, Any] | None:
        with self._database.session(reads=True) as session:
            row = session.get(ImportRow, key)
            return None if row is None else as_dict(row)

    def take_back(self, key: str, cards: Mapping[str, tuple[Seen, Mapping[str, Any] | None]]) -> int:
        """Delete the rows of an import, but those that were changed since (a draft that was typed on), and
        put these cards; how many rows went. Raises Changed."""
        classes = _classes()
        gone = 0
        with self._database.session() as session:
            receipt = session.get(ImportRow, key, with_for_update=True)
            if receipt is None or receipt.undone:
                return 0
            for question, (seen, values) in cards.items():
                _put(session, question, seen, values)
            for name, listed in receipt.rows.items():
                for *identity, digest in listed:
                    row = session.get(classes[name], tuple(identity))
                    if row is not None and (name in GONE or _digest(row) == digest):
                        session.delete(row)
                        gone += 1
            receipt.undone, receipt.rows, receipt.cards = True, {}, {}
        return gone


def _classes() -> dict[str, type[Base]]:
    return {mapper.class_.__tablename__: mapper.class_ for mapper in Base.registry.mappers}


def _put(session: Session, question: str, seen: Seen, values: Mapping[str, Any] | None) -> None:
    row = session.get(CardRow, question, with_for_update=True)
    if (plain(as_dict(row)) if row is not None else {}) != seen:
        raise Changed(question)
    if values is None:
        if row is not None:
            session.delete(row)
        return
    if row is None:
        row = CardRow(question=question)
        session.add(row)
    for name, value in values.items():
        if name != "question":
            setattr(row, name, value)


def _identity(row: Base) -> list[Any]:
    return [getattr(row, column.key) for column in inspect(type(row)).primary_key if column.key]


def _digest(row: Base) -> str:
    values = as_dict(row)
    said = {name: each.isoformat() if isinstance(each, datetime) else each for name, each in values.items()}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _batches(keys: Sequence[str]) -> list[Sequence[str]]:
    return [keys[start : start + BATCH] for start in range(0, len(keys), BATCH)]
