"""Steps that are remembered, by DBOS: what has returned is not done again, in this process or a later one.

DBOS keeps what steps returned in a SQLite file of its own in the data folder, or in the PostgreSQL database
that is set (https://docs.dbos.dev, "How workflow recovery works"). A step that was cut off is called again,
and `ingesting` makes its steps so that this does no harm. An exception is never let through to it: DBOS would
remember that too, and raise it again instead of trying again.

DBOS listens nowhere and reports to nobody here: no server, no conductor, no telemetry. It restarts nothing by
itself either, since to it each process is an executor of its own: a person says when to go on. This is the
only module that imports it, when the first ingestion begins.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from handbook.errors import CorpusError, DatabaseError, HandbookError
from handbook.rag.corpora import Corpora
from handbook.rag.ingesting import Run, Stopped

State = Literal["running", "waiting", "stopped", "interrupted", "failed", "done", "replaced"]

VERSION = "ingestion-1"  # of the steps: DBOS goes on with no workflow whose steps were others
LOOK = 0.2  # seconds between looks whether another ingestion has ended


class Running:
    """An ingestion that this process works on, and the lock that says so."""

    def __init__(
        self,
        run: Run,
        sources: Sequence[str] | None,
        corpora: Corpora,
        done: Callable[["Running"], None],
    ) -> None:
        self.run = run
        self.sources = None if sources is None else list(sources)
        self.lock = corpora.file_lock(run.id)
        self.ended = threading.Event()
        self._corpora = corpora
        self._done = done

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """Where it can't be started, it does not run."""
        try:
            yield
        except BaseException as error:
            self.end("failed", _said(error))
            raise

    def alone(self) -> Any:
        """The corpus' lock, waited for while another has it."""
        import filelock

        lock = self._corpora.lock(self.run.name)
        while True:
            try:
                lock.acquire(timeout=0)
                self._write(state="running")
                return lock
            except filelock.Timeout:
                self._write(state="waiting")
                self.run.report.tell(
                    now=True, note="Another ingestion of this corpus runs; this one is next."
                )
                time.sleep(LOOK)

    def _write(self, **values: Any) -> None:
        self._corpora.catalogue.change_ingestion(self.run.id, **values)

    def end(self, state: State, note: str = "") -> None:
        """Write down how it ended, give the lock back."""
        _runs.pop(self.run.id, None)
        said = self.run.report.whole() | {"note": note}
        if state != "interrupted":  # else as after a kill: nobody says so
            said |= {"state": state, "wish": ""}
        with contextlib.suppress(Exception):  # no room may be the very reason; then it reads as interrupted
            self.run.close()
            if state == "done":
                self.run.forget()
        with contextlib.suppress(HandbookError):
            self._write(**said)
        self._done(self)
        self.lock.release()
        if state == "done":
            with contextlib.suppress(OSError):
                Path(self.lock.lock_file).unlink()
        self.ended.set()


class Halt(BaseException):
    """Leaves a workflow without its step, or itself, being remembered as failed: DBOS remembers exceptions,
    and would raise them again instead of trying again."""

    def __init__(self, state: State, note: str = "") -> None:
        super().__init__(note)
        self.state: State = state
        self.note = note


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, HandbookError) else f"{type(error).__name__}: {error}"


def halted(error: BaseException, run: Run) -> Halt:
    if isinstance(error, Halt):
        return error
    if isinstance(error, Stopped):
        return Halt("interrupted" if run.report.closing else "stopped")
    return Halt("failed", _said(error))


_runs: dict[str, Running] = {}  # what this process works on, by id: workflows are given ids alone


def _step(id: str, do: Callable[[Run], dict[str, Any]]) -> dict[str, Any]:
    run = _runs[id].run
    try:
        return do(run)
    except BaseException as error:
        raise halted(error, run) from error


def _plan(id: str) -> dict[str, Any]:
    return _step(id, Run.plan)


def _batch(id: str, number: int) -> dict[str, Any]:
    return _step(id, lambda run: run.batch(number))


def _remove(id: str) -> dict[str, Any]:
    return _step(id, Run.remove)


def _finish(id: str) -> dict[str, Any]:
    return _step(id, Run.finish)


class _Steps:
    """The workflow over its steps, as DBOS wraps them."""

    def __init__(self, step: Callable[[str, Any], Any]) -> None:
        self._plan = step("plan", _plan)
        self._batch = step("batch", _batch)
        self._remove = step("remove", _remove)
        self._finish = step("finish", _finish)

    def ingest(self, id: str) -> dict[str, int]:
        """Each step in order; those that are remembered are not done, and what they returned is taken."""
        running = _runs[id]
        run = running.run
        try:
            lock = running.alone()
            try:
                planned = self._plan(id)
                run.planned(planned)
                for number in range(planned["batches"]):
                    run.counted(self._batch(id, number))
                self._remove(id)
                self._finish(id)
            finally:
                lock.release()
        except BaseException as error:
            halt = halted(error, run)
            running.end(halt.state, halt.note)
            raise halt from error
        running.end("done", run.skipped)
        return dict(run.report.counts)


class Engine:
    """DBOS in this process. There can be one, of one database. Raises DatabaseError."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.users = 0
        self._queue = f"ingestion-{socket.gethostname()}-{os.getpid()}"
        self._listens = False
        self._ingest, self._dbos, self._set_id = _workflow()
        quiet = logging.getLogger("dbos")  # what fails is told where it is asked for
        quiet.propagate = False
        if not quiet.handlers:  # else DBOS makes one that writes to the terminal
            quiet.addHandler(logging.NullHandler())
        self._dbos(
            config={
                "name": "handbook",
                "system_database_url": url,
                "application_version": VERSION,
                "executor_id": uuid.uuid4().hex,
                "log_level": "CRITICAL",
                "enable_otlp": False,
            }
        )
        self._dbos.listen_queues([self._queue])
        try:
            self._dbos.launch()
        except Exception as error:
            self._dbos.destroy()
            raise DatabaseError(
                f"The memory of ingestions can't be opened: {type(error).__name__}: {str(error)[:300]}",
                "Free some space, or move jobs.db in the data folder away; indexes are not touched by it.",
            ) from error

    def start(self, running: Running) -> None:
        _runs[running.run.id] = running
        with self._set_id(running.run.id):
            self._dbos.start_workflow(self._ingest, running.run.id)

    def resume(self, running: Running) -> None:
        id = running.run.id
        status = self._dbos.get_workflow_status(id)
        if status is None:  # killed before DBOS had heard of it
            return self.start(running)
        _runs[id] = running
        if status.status in ("SUCCESS", "ERROR"):
            raise CorpusError(
                f"The ingestion {id} can't go on: it has ended.",
                f"`handbook corpora update {running.run.name}` begins another; nothing is done twice.",
            )
        if not self._listens:
            self._dbos.register_queue(self._queue, polling_interval_sec=LOOK, on_conflict="always_update")
            self._listens = True
        self._dbos.resume_workflow(id, queue_name=self._queue)
        return None

    def close(self) -> None:
        if self._listens:
            self._dbos.delete_queue(self._queue)
        self._dbos.destroy()


def _workflow() -> Any:
    """The workflow as DBOS knows it, DBOS, and what sets a workflow's id. Registered once a process."""
    global _registered
    if _registered is None:
        from dbos import DBOS, SetWorkflowID

        steps = _Steps(lambda name, function: DBOS.step(name=name)(function))

        def ingest(id: str) -> dict[str, int]:
            return steps.ingest(id)

        _registered = DBOS.workflow(name="ingest")(ingest), DBOS, SetWorkflowID
    return _registered


_registered: Any = None
_engine: Engine | None = None
_engine_lock = threading.Lock()


def open_engine(corpora: Corpora) -> Engine:
    """The one of this process. To be closed as often as it was opened. Raises DatabaseError, and CorpusError
    where it is of another database."""
    global _engine
    settings = corpora.settings
    url = settings.database_url
    if url is None or not url.startswith("postgresql"):
        url = f"sqlite:///{settings.data / 'jobs.db'}"
    with _engine_lock:
        if _engine is None:
            _engine = Engine(url)
        elif _engine.url != url:
            raise CorpusError(
                "This process ingests into another data folder already.", "Close that Ingestion first."
            )
        _engine.users += 1
        return _engine


def close_engine() -> None:
    """Give back what `open_engine` gave."""
    global _engine
    with _engine_lock:
        if _engine is not None:
            _engine.users -= 1
            if not _engine.users:
                _engine.close()
                _engine = None
