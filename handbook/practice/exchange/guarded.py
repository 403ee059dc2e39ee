"""A stranger's SQLite database, opened so that it can do nothing but give rows.

A database file can hold views and triggers that run SQL of its own, tables that are views in truth, a schema
that lies about types, and queries that never end. SQLite says how to open such a file ("Defense Against The
Dark Arts", https://sqlite.org/security.html): not trusting its schema, cells checked, no memory mapping, with
limits, an authorizer that allows reading named columns and nothing else, and a handler that stops what takes
too long. Which types values have is nobody's promise: readers check each one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from handbook.practice.exchange.limits import SECONDS, VALUE
from handbook.practice.exchange.nouns import NotTaken

MAGIC = b"SQLite format 3\0"
CHECKED_EVERY = 5_000  # steps of SQLite's machine between two looks at the clock
SCHEMA = ("sqlite_master", "sqlite_schema")
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 2,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 10_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
}


class Guarded:
    """Rows of tables with these columns. columns: by table, all that may be read."""

    def __init__(self, connection: sqlite3.Connection, columns: Mapping[str, tuple[str, ...]]) -> None:
        self._connection = connection
        self._columns = columns

    def rows(self, table: str, most: int) -> Iterator[tuple[Any, ...]]:
        """Every row's columns as they were named. Raises NotTaken for more than `most`."""
        named = ", ".join(f"[{name}]" for name in self._columns[table])  # "x" without a column x is a text
        with closing(self._connection.execute(f"SELECT {named} FROM [{table}] NOT INDEXED")) as cursor:
            for number, row in enumerate(cursor, start=1):
                if number > most:
                    raise NotTaken(f"Expected at most {most:,} {table}, got more.", "Export the deck alone.")
                yield row


@contextmanager
def opened(path: Path, columns: Mapping[str, tuple[str, ...]]) -> Iterator[Guarded]:
    """Raises NotTaken for what is no database, has not these tables, or takes too long."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise NotTaken("Expected a collection of Anki, got something that is no SQLite database.")
    end = time.monotonic() + SECONDS
    try:
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.text_factory = _text
            for limit, value in LIMITS.items():
                connection.setlimit(limit, value)
            for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "query_only=ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.set_progress_handler(lambda: time.monotonic() > end, CHECKED_EVERY)
            connection.set_authorizer(_authorizer(columns))
            _check(connection, columns)
            yield Guarded(connection, columns)
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes a damaged schema in its message
        if time.monotonic() > end:
            raise NotTaken(
                f"Reading the collection took more than {SECONDS:.0f} s.",
                "Export this handbook's deck alone.",
            ) from error
        raise NotTaken(f"The collection can't be read: {error}.", "Export it from Anki again.") from error


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _authorizer(columns: Mapping[str, tuple[str, ...]]) -> Any:
    def authorize(action: int, table: str | None, column: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_SELECT:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and (
            table in SCHEMA or column in columns.get(table or "", ()) or (table in columns and not column)
        ):
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    return authorize


def _check(connection: sqlite3.Connection, columns: Mapping[str, tuple[str, ...]]) -> None:
    """Each is a plain table: no view, none made by a module."""
    marks = ", ".join("?" * len(columns))
    query = f"SELECT name, type, sql, rootpage FROM sqlite_master WHERE name IN ({marks})"
    found = {}
    for name, kind, sql, root in connection.execute(query, tuple(columns)):
        plain = kind == "table" and isinstance(sql, str) and isinstance(root, int) and root > 0
        if not plain or "virtual" in sql.lower().split("(")[0] or name in found:
            raise NotTaken(f"The collection's {name} is no plain table.", "Export it from Anki again.")
        found[name] = sql
    missing = [name for name in columns if name not in found]
    if missing:
        raise NotTaken(
            f"Expected a collection of Anki, got a database without the tables {', '.join(missing)}."
        )
