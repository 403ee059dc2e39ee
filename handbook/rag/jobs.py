"""Ingestions of corpora: begun, watched, stopped, and gone on with after a stop or a kill.

The steps are `ingesting`'s, and that they are remembered is `durable`'s. How far an ingestion is stands in a
table, for all processes to see; whether anybody works on it is told by a lock, which a killed process no
longer holds. Nothing heavy is imported before the first begins.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from handbook.errors import CorpusError
from handbook.rag.corpora import Corpora
from handbook.rag.durable import LOOK, Engine, Running, State, close_engine, open_engine
from handbook.rag.fetch import fetch
from handbook.rag.ingesting import Get, Prepare, Reporter, Run
from handbook.rag.planning import Plan, Source, named, plan
from handbook.rag.workers import parse_all

Stage = Literal["", "plan", "embed", "remove", "index"]

ALIVE = ("running", "waiting")
RESUMABLE = ("stopped", "interrupted", "failed")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an ingestion is.

    state: running; waiting for another of the same corpus; stopped by a person; interrupted, its process
    being gone; failed, as `note` says; done; replaced by a later one. stage, done, total: documents looked at
    ("plan"), chunks embedded, of about so many ("embed"), documents removed ("remove"). counts: new, changed,
    same, gone, unreadable, lossy; documents, chunks, characters and bytes so far. faults: lines about what
    could not be read, the first ones.
    """

    id: str
    corpus: str
    state: State
    stage: Stage
    done: int
    total: int | None
    note: str
    counts: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    seconds: float = 0.0
    at: datetime | None = None

    @property
    def alive(self) -> bool:
        return self.state in ALIVE

    @property
    def resumable(self) -> bool:
        return self.state in RESUMABLE


class Ingestion:
    """Ingestions of the corpora of a data folder. One for a process, closed when the process ends: what runs
    in it then is interrupted, and can go on in another.

    Args:
        get: fetches a page; for tests.
        workers: processes that parse; as many as cores where not given.
        prepare: what parses and cuts on them; for tests.
    """

    def __init__(
        self,
        corpora: Corpora,
        get: Get = fetch,
        workers: int | None = None,
        prepare: Prepare = parse_all,
    ) -> None:
        self._corpora = corpora
        self._catalogue = corpora.catalogue
        self._get = get
        self._workers = workers
        self._prepare = prepare
        self._lock = threading.RLock()
        self._mine: dict[str, Running] = {}
        self._engine: Engine | None = None

    def start(self, name: str, sources: Sequence[str] = ()) -> str:
        """Ingest folders, files and pages into a corpus that is there, or with none named all that it is made
        of: what is new or changed is read, what is the same is not, what is gone is removed. Returns the
        ingestion's id at once.

        Raises HandbookError for a source that is not there, and CorpusError where there is nothing to do or
        the corpus is of another embedding model.
        """
        self._corpora.index(name)
        given = [named(source) for source in sources]
        if not given and not self._corpora.sources(name):
            raise CorpusError(f"The corpus {name!r} has no sources yet.", "Name a folder, a file or a URL.")
        self._corpora.take_in(name, given)
        id = f"{name}-{uuid.uuid4().hex[:12]}"
        running = self._running(id, name, [source.name for source in given] or None)
        with running.undone():
            self._replace(name)
            job = {"sources": running.sources}
            empty = {"stage": "", "done": 0, "total": None, "note": "", "counts": {}, "faults": []}
            self._catalogue.add_ingestion(
                id=id, corpus=name, job=job, state="running", wish="", seconds=0.0, **empty
            )
            self._durably().start(running)
        return id

    def resume(self, id: str) -> None:
        """Go on with an ingestion that was stopped, interrupted or has failed. One that runs is left alone.
        Raises CorpusError where it is done, or another has taken its place."""
        progress = self.progress(id)
        if progress.alive:
            return
        if not progress.resumable:
            said = "is done" if progress.state == "done" else "was replaced by a later one"
            raise CorpusError(f"The ingestion {id} {said}.", f"`handbook corpora update {progress.corpus}`.")
        row = self._row(id)
        self._corpora.index(progress.corpus)
        running = self._running(id, progress.corpus, row["job"]["sources"])
        running.run.report.before = progress.seconds
        with running.undone():
            self._catalogue.change_ingestion(id, state="running", wish="", note="")
            self._durably().resume(running)

    def stop(self, id: str) -> None:
        """Have it stopped, in whichever process it runs: within a second or so, or when the document at hand
        is done. What is indexed stays, and `resume` goes on."""
        progress = self.progress(id)
        if progress.alive:
            self._catalogue.change_ingestion(id, wish="stop")
        elif progress.state == "interrupted":
            self._catalogue.change_ingestion(id, state="stopped", note="")

    def progress(self, id: str) -> Progress:
        """Raises CorpusError where there is none of this id."""
        return self._progress(self._row(id))

    def latest(self, name: str) -> Progress | None:
        """The newest ingestion of a corpus."""
        found = self._catalogue.ingestions(name, 1)
        return self._progress(found[0]) if found else None

    def running(self, name: str) -> str | None:
        """The id of the ingestion that runs, here or in another process."""
        found = map(self._progress, self._catalogue.ingestions(name))
        return next((one.id for one in found if one.alive), None)

    def wait(
        self, id: str, watch: Callable[[Progress], object] | None = None, timeout: float | None = None
    ) -> Progress:
        """Until it ends, or `timeout` seconds. watch: is told how far it is, a few times a second."""
        ends = None if timeout is None else time.monotonic() + timeout
        while True:
            progress = self.progress(id)
            if watch is not None:
                watch(progress)
            if not progress.alive or (ends is not None and time.monotonic() > ends):
                return progress
            time.sleep(LOOK)

    def look(self, name: str, sources: Sequence[str] = ()) -> Plan:
        """What `start` would do; nothing is changed."""
        given = [named(source) for source in sources] or self._corpora.sources(name)
        return look(self._corpora, name, given, self._get)

    def close(self) -> None:
        """Interrupt what runs in this process, and wait until it rests."""
        with self._lock:
            mine = list(self._mine.values())
        for running in mine:
            running.run.report.closing = True
        for running in mine:
            running.ended.wait(60)
        with self._lock:
            if self._engine is not None:
                self._engine = None
                close_engine()

    def __enter__(self) -> "Ingestion":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _row(self, id: str) -> dict[str, Any]:
        row = self._catalogue.ingestion(id)
        if row is None:
            raise CorpusError(f"There is no ingestion {id!r}.", "`handbook corpora` lists what there is.")
        return row

    def _progress(self, row: Mapping[str, Any]) -> Progress:
        state = row["state"]
        if state in ALIVE and not self._held(row["id"]):
            fresh = self._row(row["id"])  # it may have ended between the two looks
            state = "interrupted" if fresh["state"] in ALIVE else fresh["state"]
            row = fresh
        said = {name: row[name] for name in ("id", "corpus", "stage", "done", "total", "note", "counts")}
        return Progress(
            **said, state=state, faults=tuple(row["faults"]), seconds=row["seconds"], at=row["at"]
        )

    def _held(self, id: str) -> bool:
        """Whether a process works on it."""
        if id in self._mine:
            return True
        import filelock

        lock = self._corpora.file_lock(id)
        try:
            with lock.acquire(timeout=0):
                return False
        except filelock.Timeout:
            return True

    def _running(self, id: str, name: str, sources: Sequence[str] | None) -> Running:
        import filelock

        def write(said: Mapping[str, Any]) -> str:
            return self._catalogue.change_ingestion(id, **said)

        run = Run(self._corpora, id, name, sources, Reporter(write), self._get, self._workers, self._prepare)
        running = Running(run, sources, self._corpora, self._done)
        try:
            running.lock.acquire(timeout=5)
        except filelock.Timeout as error:
            raise CorpusError(f"Another process goes on with {id} already.", "Wait for it.") from error
        with self._lock:
            self._mine[id] = running
        return running

    def _done(self, running: Running) -> None:
        with self._lock:
            self._mine.pop(running.run.id, None)

    def _replace(self, name: str) -> None:
        """What was cut off need not go on once another look at everything begins."""
        for row in self._catalogue.ingestions(name):
            if self._progress(row).resumable:
                self._catalogue.change_ingestion(
                    row["id"], state="replaced", note="A later one took its place."
                )
                Run(self._corpora, row["id"], name).forget()

    def _durably(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = open_engine(self._corpora)
            return self._engine


def look(corpora: Corpora, name: str | None, sources: Sequence[Source], get: Get = fetch) -> Plan:
    """What there is to do, for a corpus that is there or (None) for one that is not. Nothing is kept."""
    known = {} if name is None else corpora.known(name)
    left_out = set() if name is None else corpora.left_out(name)
    with tempfile.TemporaryDirectory() as folder:
        return plan(sources, known, Path(folder), left_out, get)
