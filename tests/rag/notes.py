"""Folders of notes and corpora of them, for the tests of ingestion: embedded without a model."""

import hashlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handbook.database import open_database
from handbook.errors import HandbookError
from handbook.rag.corpora import TENANT, Corpora
from handbook.rag.ingesting import Run
from handbook.rag.planning import named
from handbook.rag.prepare import Task, perform
from handbook.rag.workers import Outcome
from handbook.settings import Settings
from tests.rag.fakes import HashEmbedder

TEA = "# Tea\n\nGreen tea steeps at seventy degrees. Boiling water makes it bitter.\n"
BREAD = "# Bread\n\nKneading builds gluten. Gluten holds gas while the dough rises.\n"


def folder(path: Path, **texts: str) -> Path:
    """A folder with these notes, name -> text; tea and bread where none is given."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in (texts or {"tea": TEA, "bread": BREAD}).items():
        (path / f"{name}.md").write_text(text, encoding="utf-8")
    return path


@contextmanager
def opened(data: Path, embedder: Any = None) -> Iterator[Corpora]:
    settings = Settings(data=data)
    database = open_database(settings)
    try:
        yield Corpora(settings, database, embedder or HashEmbedder())
    finally:
        database.close()


def here(tasks: Iterable[Task], *_: Any, **__: Any) -> Generator[Outcome[Any], None, None]:
    """What `parse_all` does, in this process."""
    for task in tasks:
        try:
            yield Outcome(task, perform(task))
        except HandbookError as error:
            yield Outcome(task, None, str(error))


def ingested(corpora: Corpora, name: str, *sources: Path | str, **more: Any) -> Run:
    """Ingest at once, as `jobs` does, but without a memory. Gives the run, for its report."""
    corpora.take_in(name, [named(str(source)) for source in sources])
    run = Run(corpora, f"{name}-run", name, **{"prepare": here, **more})
    try:
        planned = run.plan()
        run.planned(planned)
        for number in range(planned["batches"]):
            run.counted(run.batch(number))
        run.remove()
        run.finish()
    finally:
        run.close()
    return run


def found(corpora: Corpora, name: str, text: str) -> list[str]:
    """The files in which the words of a text are found, by name, best first."""
    hits = corpora.reader(name).lexical(text, 100, (), TENANT)
    return list(dict.fromkeys(Path(hit.row.document).name for hit in hits))


def held(corpora: Corpora, name: str) -> list[tuple[Any, ...]]:
    """All that the index holds, in order, to be compared: rows with their vectors."""
    index = corpora.index(name)
    documents = corpora.documents(name)
    ids = [f"{row_key(one.source)}-{number}" for one in documents for number in range(one.chunks)]
    vectors = index.vectors(ids, TENANT)
    rows = index.get(ids, TENANT)
    assert len(rows) == len(ids) == index.count(TENANT)
    return [(row, tuple(vectors[row.id].tolist())) for row in rows]


def row_key(source: str) -> str:
    return hashlib.sha256(f"{TENANT}\0{source}".encode()).hexdigest()[:16]
