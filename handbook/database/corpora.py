"""Corpora in the database: which there are, what each is made of, and how far its ingestions are.

The rows themselves; what they mean, and what lies on disk beside them, is `rag.corpora`'s and `rag.jobs`'.
All methods are short transactions and may be called from any thread.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, delete, func, insert, or_, select, update

from handbook.database.store import Database, as_dict
from handbook.database.tables import (
    Ask,
    CorpusDocument,
    CorpusRow,
    CorpusSource,
    IngestionRow,
    Signal,
    now,
)

BATCH = 400  # values of one statement; SQLite takes a thousand

PARTS: tuple[type[Any], ...] = (CorpusSource, CorpusDocument, IngestionRow)
NAMING: tuple[type[Any], ...] = (*PARTS, Signal)
TOLD = ("sentences", "hits", "conflicts", "steps")  # of an answer that is kept: what documents say


def key_of(source: str) -> str:
    """What a source is looked up by, however long its name: 64 characters."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


class Catalogue:
    """The tables of corpora. Rows come as plain mappings, by column."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Corpora

    def corpora(self) -> list[dict[str, Any]]:
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(select(CorpusRow).order_by(CorpusRow.name))]

    def corpus(self, name: str) -> dict[str, Any] | None:
        with self._database.session(reads=True) as session:
            row = session.get(CorpusRow, name)
            return None if row is None else as_dict(row)

    def add_corpus(self, **values: Any) -> bool:
        """False where the name is taken."""
        with self._database.session() as session:
            if session.get(CorpusRow, values["name"]) is not None:
                return False
            session.add(CorpusRow(**values))
        return True

    def change_corpus(self, name: str, **values: Any) -> None:
        with self._database.session() as session:
            session.execute(update(CorpusRow).where(CorpusRow.name == name).values(changed=now(), **values))

    def rename_corpus(self, name: str, new: str) -> bool:
        """With all that belongs to it, at once. False where the new name is taken."""
        with self._database.session() as session:
            if session.get(CorpusRow, new) is not None:
                return False
            session.execute(update(CorpusRow).where(CorpusRow.name == name).values(name=new, changed=now()))
            for table in NAMING:
                session.execute(update(table).where(table.corpus == name).values(corpus=new))
            for ask in session.scalars(_asks(name)):
                ask.answer = {**ask.answer, "corpus": new}
        return True

    def bury_corpus(self, name: str, grave: str) -> None:
        """All of a corpus goes, but for a row under another name that says what is still on disk. Of what was
        asked of it the questions stay, without what its documents say."""
        with self._database.session() as session:
            session.execute(update(CorpusRow).where(CorpusRow.name == name).values(name=grave))
            for table in NAMING:
                session.execute(delete(table).where(table.corpus == name))
            for ask in session.scalars(_asks(name)):
                ask.answer = {**ask.answer, **{part: [] for part in TOLD}}

    def forget_corpus(self, name: str) -> None:
        with self._database.session() as session:
            session.execute(delete(CorpusRow).where(CorpusRow.name == name))

    # Sources

    def sources(self, corpus: str) -> list[dict[str, Any]]:
        statement = select(CorpusSource).where(CorpusSource.corpus == corpus).order_by(CorpusSource.source)
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    def add_sources(self, corpus: str, sources: Iterable[tuple[str, str]]) -> None:
        """(source, kind) of each; those that are there stay as they are."""
        with self._database.session() as session:
            for source, kind in sources:
                if session.get(CorpusSource, (corpus, key_of(source))) is None:
                    session.add(CorpusSource(corpus=corpus, key=key_of(source), source=source, kind=kind))

    def remove_sources(self, corpus: str, sources: Iterable[str]) -> None:
        self._remove(CorpusSource, corpus, [key_of(source) for source in sources])

    # Documents

    def documents(self, corpus: str) -> list[dict[str, Any]]:
        """All of them, ordered by source."""
        statement = (
            select(CorpusDocument).where(CorpusDocument.corpus == corpus).order_by(CorpusDocument.source)
        )
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    def listed(self, corpus: str, first: int, count: int, report: bool = False) -> list[dict[str, Any]]:
        """Some of them, ordered by source. report: of those alone that were not read, or not all of them."""
        statement = select(CorpusDocument).where(CorpusDocument.corpus == corpus)
        if report:
            statement = statement.where(or_(_unread(), _partly()))
        statement = statement.order_by(CorpusDocument.source).offset(first).limit(count)
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]

    def spread(self, corpus: str) -> tuple[int, int, list[tuple[str, int]]]:
        """How many documents could not be read, of how many a part was lost, and how many there are in each
        language, most first."""
        mine = CorpusDocument.corpus == corpus
        counts = select(func.count().filter(_unread()), func.count().filter(_partly())).where(mine)
        language = CorpusDocument.language
        tongues = select(language, func.count()).where(mine, language != "").group_by(language)
        with self._database.session(reads=True) as session:
            unread, partly = session.execute(counts).one()
            found = [(name, int(count)) for name, count in session.execute(tongues)]
        return int(unread), int(partly), sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def known(self, corpus: str) -> list[tuple[str, str, str, Mapping[str, Any], int]]:
        """(source, origin, digest, seen, chunks) of each document: what the next look compares with."""
        table = CorpusDocument
        statement = select(table.source, table.origin, table.digest, table.seen, table.chunks)
        with self._database.session(reads=True) as session:
            return [tuple(row) for row in session.execute(statement.where(table.corpus == corpus))]

    def document(self, corpus: str, source: str) -> dict[str, Any] | None:
        with self._database.session(reads=True) as session:
            row = session.get(CorpusDocument, (corpus, key_of(source)))
            return None if row is None else as_dict(row)

    def put_documents(self, corpus: str, documents: Iterable[Mapping[str, Any]]) -> None:
        """Each replaces what was known of the same source."""
        rows = [
            {"corpus": corpus, "key": key_of(values["source"]), "at": now(), **values} for values in documents
        ]
        with self._database.session() as session:
            for start in range(0, len(rows), BATCH):
                some = rows[start : start + BATCH]
                keys = [row["key"] for row in some]
                there = CorpusDocument.corpus == corpus, CorpusDocument.key.in_(keys)
                session.execute(delete(CorpusDocument).where(*there))
                session.execute(insert(CorpusDocument), some)

    def put_seen(self, corpus: str, seen: Mapping[str, Mapping[str, Any]]) -> None:
        """How documents were when they were last looked at, for those that have not changed."""
        with self._database.session() as session:
            for source, values in seen.items():
                session.execute(
                    update(CorpusDocument)
                    .where(CorpusDocument.corpus == corpus, CorpusDocument.key == key_of(source))
                    .values(seen=dict(values))
                )

    def forget_faults(self, corpus: str) -> None:
        """Documents that could not be read count as never seen."""
        unread = (CorpusDocument.corpus == corpus, CorpusDocument.fault != "")
        with self._database.session() as session:
            session.execute(update(CorpusDocument).where(*unread).values(digest="", seen={}))

    def remove_documents(self, corpus: str, sources: Iterable[str]) -> None:
        self._remove(CorpusDocument, corpus, [key_of(source) for source in sources])

    def totals(self, corpus: str) -> dict[str, int]:
        """documents, chunks, characters, faults (documents of which nothing could be read)."""
        faults = func.count().filter(CorpusDocument.fault != "")
        sums = (
            func.coalesce(func.sum(column), 0)
            for column in (CorpusDocument.chunks, CorpusDocument.characters)
        )
        statement = select(func.count(), *sums, faults).where(CorpusDocument.corpus == corpus)
        with self._database.session(reads=True) as session:
            found = session.execute(statement).one()
        return dict(zip(("documents", "chunks", "characters", "faults"), map(int, found), strict=True))

    def _remove(self, table: type[CorpusSource | CorpusDocument], corpus: str, keys: Sequence[str]) -> None:
        with self._database.session() as session:
            for start in range(0, len(keys), BATCH):
                some = keys[start : start + BATCH]
                session.execute(delete(table).where(table.corpus == corpus, table.key.in_(some)))

    # Ingestions

    def add_ingestion(self, **values: Any) -> None:
        with self._database.session() as session:
            session.add(IngestionRow(**values))

    def change_ingestion(self, id: str, **values: Any) -> str:
        """Returns what somebody wishes of it meanwhile: 'stop' or ''."""
        with self._database.session() as session:
            session.execute(update(IngestionRow).where(IngestionRow.id == id).values(**values))
            wish = session.scalar(select(IngestionRow.wish).where(IngestionRow.id == id))
        return wish or ""

    def ingestion(self, id: str) -> dict[str, Any] | None:
        with self._database.session(reads=True) as session:
            row = session.get(IngestionRow, id)
            return None if row is None else as_dict(row)

    def ingestions(self, corpus: str, limit: int | None = 20) -> list[dict[str, Any]]:
        """The newest first."""
        statement = (
            select(IngestionRow)
            .where(IngestionRow.corpus == corpus)
            .order_by(IngestionRow.at.desc(), IngestionRow.id)
            .limit(limit)
        )
        with self._database.session(reads=True) as session:
            return [as_dict(row) for row in session.scalars(statement)]


def _asks(corpus: str) -> Select[Ask]:
    """What was asked of a corpus."""
    return select(Ask).where(Ask.answer["corpus"].as_string() == corpus)


def _unread() -> ColumnElement[bool]:
    return CorpusDocument.fault != ""


def _partly() -> ColumnElement[bool]:
    return (CorpusDocument.fault == "") & (cast(CorpusDocument.lost, String) != "[]")
