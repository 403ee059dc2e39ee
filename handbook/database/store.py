"""One object over the tables: every read and write that the application makes.

All methods are short transactions; they may be called from any thread.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import create_engine, delete, event, func, make_url, select
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import (
    ArgumentError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import (
    DatabaseError as SqlDatabaseError,
)
from sqlalchemy.orm import Session, sessionmaker

from handbook.database.migrate import bring_up_to_date
from handbook.database.tables import Ask, Base, ImportRow, Measurement, ReadSection, Signal
from handbook.errors import DatabaseError, DiskFull
from handbook.records import Answer
from handbook.settings import Settings

SignalKind = Literal["cited", "helped", "not_helped"]
FULL = ("disk is full", "no space left", "disk i/o error")


def open_database(settings: Settings) -> "Database":
    """Connect and migrate. Raises DatabaseError, NewerDatabase or DiskFull."""
    try:
        url = make_url(settings.database)
        if url.get_backend_name() == "postgresql" and "+" not in url.drivername:
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite" and url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise DatabaseError(
            f"The database URL can't be used: {error}.",
            "Expected something like sqlite:///FILE or postgresql://USER@HOST/NAME "
            "(with the extra: pip install 'genai-lead-handbook[postgres]').",
        ) from error
    except OSError as error:
        raise _explained(error, str(settings.database)) from error
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    shown = without_secrets(url)
    try:
        bring_up_to_date(engine)
    except SqlDatabaseError as error:
        engine.dispose()
        raise _explained(error, shown) from error
    except DatabaseError:
        engine.dispose()
        raise
    return Database(engine, shown)


def without_secrets(url: URL) -> str:
    """For messages and pages: no password, and no query, where drivers take one too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _prepare_sqlite(engine: Engine) -> None:
    """Write-ahead log: readers and a writer side by side; a busy database is waited for, not failed on.

    Python's driver begins transactions by itself and leaves table changes outside them; so it is told not
    to, and each transaction is begun here. One that will write takes the write lock at once: asking for it
    halfway can fail without waiting.
    """

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=10000")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        reads = connection.get_execution_options().get("only_reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _explained(error: Exception, where: str) -> DatabaseError | DiskFull:
    said = str(error.__cause__ or error).strip()
    if any(word in said.lower() for word in FULL):
        return DiskFull(
            f"No room left to write the database {where}.", "Free some space; what was stored is safe."
        )
    if "not a database" in said or "malformed" in said:
        return DatabaseError(
            f"{where} is not a usable database: {said}.", "Move the file away (keep it) and start again."
        )
    if isinstance(error, OperationalError | OSError):
        return DatabaseError(
            f"The database {where} can't be reached: {said}.",
            "Check the address, the server and the permissions.",
        )
    return DatabaseError(f"The database {where} refused: {said}.", "`handbook doctor` says more.")


class Database:
    """Reading marks, questions asked, signals and own measurements; exercises are in `database.practice`."""

    def __init__(self, engine: Engine, shown: str) -> None:
        self._engine = engine
        self._writes = sessionmaker(engine, expire_on_commit=False)
        self._reads = sessionmaker(engine.execution_options(only_reads=True), expire_on_commit=False)
        self.url = shown

    @contextmanager
    def session(self, reads: bool = False) -> Iterator[Session]:
        """A transaction, for the tables that have files of their own here (`database.corpora`)."""
        try:
            with (self._reads if reads else self._writes).begin() as session:
                yield session
        except SqlDatabaseError as error:
            raise _explained(error, self.url) from error

    def close(self) -> None:
        self._engine.dispose()

    # Reading

    def mark_read(self, chapter: str, section: str) -> None:
        with self.session() as session:
            session.merge(ReadSection(chapter=chapter, section=section))

    def unmark_read(self, chapter: str, section: str | None = None) -> None:
        """Forget one section's mark, or all of a chapter's."""
        statement = delete(ReadSection).where(ReadSection.chapter == chapter)
        if section is not None:
            statement = statement.where(ReadSection.section == section)
        with self.session() as session:
            session.execute(statement)

    def read(self) -> dict[str, set[str]]:
        """Sections read, by chapter slug."""
        marks: dict[str, set[str]] = {}
        with self.session(reads=True) as session:
            for chapter, section in session.execute(select(ReadSection.chapter, ReadSection.section)):
                marks.setdefault(chapter, set()).add(section)
        return marks

    # Asking

    def log_ask(self, answer: Answer) -> int:
        row = Ask(question=answer.question, refused=answer.refused, answer=asdict(answer))
        with self.session() as session:
            session.add(row)
        return row.id

    def asks(self, limit: int = 20) -> list[dict[str, Any]]:
        """The newest first."""
        with self.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(select(Ask).order_by(Ask.id.desc()).limit(limit))]

    def forget_ask(self, ask: int) -> None:
        with self.session() as session:
            session.execute(delete(Ask).where(Ask.id == ask))

    # Signals

    def signal(
        self, kind: SignalKind, question: str, corpus: str = "book", chunk: str = "", ask: int | None = None
    ) -> None:
        """Keep that a citation was opened (its chunk's id), or that an answer helped or did not."""
        row = Signal(kind=kind, question=question, corpus=corpus, chunk=chunk, ask=ask)
        with self.session() as session:
            session.add(row)

    def signals(self, corpus: str, limit: int = 100) -> list[dict[str, Any]]:
        """The newest first."""
        statement = select(Signal).where(Signal.corpus == corpus).order_by(Signal.id.desc()).limit(limit)
        with self.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    def signal_counts(self, corpus: str) -> dict[str, int]:
        """How many of each kind."""
        statement = select(Signal.kind, func.count()).where(Signal.corpus == corpus).group_by(Signal.kind)
        with self.session(reads=True) as session:
            return {kind: int(count) for kind, count in session.execute(statement)}

    # Own measurements

    def save_measurement(
        self, claim: str, value: float, low: float, high: float, samples: int, machine: str
    ) -> None:
        row = Measurement(claim=claim, value=value, low=low, high=high, samples=samples, machine=machine)
        with self.session() as session:
            session.add(row)

    def measurements(self) -> dict[str, dict[str, Any]]:
        """The newest per claim."""
        with self.session(reads=True) as session:
            rows = session.scalars(select(Measurement).order_by(Measurement.id))
            return {row.claim: as_dict(row) for row in rows}

    # All of it

    def export(self) -> dict[str, Any]:
        """Every row of the reader's state, as JSON can hold it. `import_` takes it back. Corpora are not part
        of it: their documents and indexes lie on this machine."""
        from handbook.database.exchange import state_tables

        tables: dict[str, list[dict[str, Any]]] = {}
        with self.session(reads=True) as session:
            for cls in state_tables():
                rows = [as_dict(row) for row in session.scalars(select(cls))]
                for row in rows:
                    row.update({k: v.isoformat() for k, v in row.items() if isinstance(v, datetime)})
                tables[cls.__tablename__] = rows
        return {"format": "handbook-state", "version": 1, "tables": tables}

    def import_(self, state: Mapping[str, Any]) -> int:
        """Add the rows of an export as they are; what is already here stays. Returns how many were added.
        Files of people come by `practice.exchange`, which checks what the rows say and reckons cards anew.

        Raises DatabaseError with every fault found, before anything is written.
        """
        from handbook.database.exchange import rows_to_add

        with self.session() as session:
            rows = rows_to_add(state, session)
            session.add_all(rows)
        return len(rows)

    def delete_all(self) -> None:
        """What `export` gives, and what is kept of imports. A corpus is deleted with its index, by
        `rag.corpora.Corpora.delete`."""
        from handbook.database.exchange import state_tables

        with self.session() as session:
            for cls in state_tables():
                session.execute(delete(cls))
            session.execute(delete(ImportRow))


def as_dict(row: Base) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__mapper__.column_attrs}
