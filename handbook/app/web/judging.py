"""Runs of submissions: a short queue, at most a thread a core, each can be stopped; the server never waits.

A run ends as one of: done (it has a report, or the value of an input), stopped (by its reader, or because a
later one of the same exercise took its place), failed (the judge itself could not do it, which says why).
"""

import os
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from handbook.errors import HandbookError

if TYPE_CHECKING:
    from handbook.book.nouns import Exercise
    from handbook.practice.verdicts import Isolation, Report, Verdict

Kind = Literal["all", "visible", "input"]
State = Literal["waiting", "running", "done", "stopped", "failed"]
WAITING = 16  # runs in the queue; beyond them a new one is refused
KEPT = 64  # runs whose end is remembered
THREADS = min(os.cpu_count() or 1, 4)


class Judges(Protocol):
    """Who does the judging: `handbook.app.web.judges.Warm`, or a stand-in of a test. Called in threads."""

    @property
    def isolation(self) -> "Isolation": ...

    def warm(self) -> None: ...

    def close(self) -> None: ...

    def report(
        self, exercise: "Exercise", code: str, hidden: bool, stop: threading.Event, progress: "Progress"
    ) -> "Report": ...

    def value(self, exercise: "Exercise", code: str, snippet: str, stop: threading.Event) -> Any: ...


Progress = Callable[["Verdict"], None]


@dataclass(eq=False)
class Run:
    """mark: another one whenever there is news. told: verdicts so far. tried: of an input. kept: what keeping
    it changed (a `practising.Kept`), None where nothing was kept."""

    id: str
    exercise: "Exercise"
    code: str
    kind: Kind
    snippet: str = ""
    state: State = "waiting"
    mark: int = 0
    told: "list[Verdict]" = field(default_factory=list)
    report: "Report | None" = None
    tried: Any = None
    kept: Any = None
    what: str = ""
    remedy: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    begun: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        return self.state in ("done", "stopped", "failed")

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun


class Runs:
    """Safe to call from any thread. keep: called with a run that has a report, before it counts as done."""

    def __init__(
        self, judges: Judges, keep: Callable[[Run], Any] = lambda run: None, threads: int = THREADS
    ) -> None:
        self._judges, self._keep, self._most = judges, keep, threads
        self._queue: deque[Run] = deque()
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._threads = 0
        self._closed = False
        self._news = threading.Condition()

    def begin(self, exercise: "Exercise", code: str, kind: Kind, snippet: str = "") -> Run:
        """Put a run into the queue; an earlier one of the same exercise and kind makes room for it.

        Raises HandbookError where too many wait.
        """
        run = Run(secrets.token_urlsafe(12), exercise, code, kind, snippet)
        with self._news:
            if self._closed:
                raise HandbookError("The handbook is closing.", "Start it again; your code is kept.")
            for other in list(self._runs.values()):
                same = other.exercise.name == exercise.name and (other.kind == "input") == (kind == "input")
                if same and not other.over:
                    self._end(other)
            if len(self._queue) >= WAITING:
                raise HandbookError(
                    f"{WAITING} runs wait already, and this machine does {self._most} at once.",
                    "Your code is kept. Wait for them, or stop one, and run it again.",
                )
            self._runs[run.id] = run
            while len(self._runs) > KEPT:
                oldest = next((key for key, each in self._runs.items() if each.over), None)
                if oldest is None:
                    break
                del self._runs[oldest]
            self._queue.append(run)
            if self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._work, name="judging", daemon=True).start()
            self._news.notify_all()
        return run

    def get(self, id: str) -> Run | None:
        return self._runs.get(id)

    def place(self, run: Run) -> int:
        """How many runs begin before this one."""
        with self._news:
            return self._queue.index(run) if run in self._queue else 0

    def stop(self, run: Run) -> None:
        with self._news:
            self._end(run)

    def wait(self, run: Run, mark: int, seconds: float) -> bool:
        """Until there is news of the run after `mark`, at most so long. Whether there is."""
        with self._news:
            return self._news.wait_for(lambda: run.mark != mark or run.over, seconds)

    def close(self) -> None:
        """Stop all of them and begin no more."""
        with self._news:
            self._closed = True
            for run in list(self._runs.values()):
                if not run.over:
                    self._end(run)

    # Inside

    def _end(self, run: Run) -> None:
        run.stop.set()
        if run in self._queue:
            self._queue.remove(run)
            self._say(run, "stopped")
        self._news.notify_all()

    def _say(self, run: Run, state: State) -> None:
        with self._news:
            run.state = state
            run.mark += 1
            for each in self._queue:
                each.mark += 1  # its place
            self._news.notify_all()

    def _work(self) -> None:
        while True:
            with self._news:
                if not self._queue:
                    self._threads -= 1
                    return
                run = self._queue.popleft()
            self._say(run, "running")
            self._say(run, self._done(run))

    def _done(self, run: Run) -> State:
        def progress(verdict: "Verdict") -> None:
            with self._news:
                run.told = [*run.told, verdict]
                run.mark += 1
                self._news.notify_all()

        try:
            if run.kind == "input":
                run.tried = self._judges.value(run.exercise, run.code, run.snippet, run.stop)
            else:
                hidden = run.kind == "all"
                run.report = self._judges.report(run.exercise, run.code, hidden, run.stop, progress)
            if run.stop.is_set():
                return "stopped"
            if run.report is not None:
                run.kept = self._keep(run)
        except HandbookError as error:
            run.what, run.remedy = error.what, error.remedy
        except Exception as error:
            run.what = f"The judge made a mistake ({type(error).__name__}: {error}). That is a bug."
            run.remedy = "Your code is kept; `handbook judge` may say more in a terminal."
        else:
            return "done"
        return "stopped" if run.stop.is_set() else "failed"
