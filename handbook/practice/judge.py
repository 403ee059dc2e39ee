"""The judge: a submission against the tests of an exercise, and a report whatever the submission does.

Three processes. This one reads verdicts. The examiner holds the tests, the submission's process the code;
neither holds both, so there is nothing in reach of a submission that it could forge a verdict with.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from typing import Any

from handbook.book.exercise_files import tests_in
from handbook.book.nouns import Exercise
from handbook.errors import IsolationError
from handbook.practice.growth import growth as fitted
from handbook.practice.sandbox import Sandbox, open_sandbox
from handbook.practice.session import Outcome, Progress, Session, Task
from handbook.practice.statics import look
from handbook.practice.verdicts import Growth, Isolation, Report, Verdict

MEBI = 1 << 20
TRIES = 2  # a worker that died is started again


class Judge:
    """Holds the warm worker. One a process; usable from several threads at once."""

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings
        self._sandbox: Sandbox | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def sandbox(self) -> Sandbox:
        """Opened at first use. Raises IsolationError where the setting names what can't be had."""
        with self._lock:
            if self._sandbox is None:
                self._sandbox = open_sandbox(self.settings)
            return self._sandbox

    @property
    def isolation(self) -> Isolation:
        return self.sandbox.isolation

    def open(self) -> None:
        """Start the worker now, so that the first submission does not wait for it."""
        start = getattr(self.sandbox, "open", None)
        if start is not None:
            start()

    def close(self) -> None:
        """End the worker and every cell."""
        with self._lock:
            sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            sandbox.close()

    def examine(
        self, task: Task, stop: threading.Event | None = None, progress: Progress | None = None
    ) -> Outcome:
        """Run a task in two cells. Raises IsolationError where no cell can be started."""
        for left in reversed(range(TRIES)):
            session = Session(self.sandbox, task, stop, progress)
            try:
                session.__enter__()
            except OSError as error:
                if not left:
                    what = f"The judge cannot start a process here: {error}."
                    raise IsolationError(
                        what, "handbook judge isolation says what this system has."
                    ) from None
                continue
            with session.stack:
                return session.run()
        raise AssertionError("a loop that returns or raises")

    def run(
        self,
        exercise: Exercise,
        code: str,
        *,
        hidden: bool = True,
        only: Collection[str] | None = None,
        growth: bool = True,
        stop: threading.Event | None = None,
        progress: Progress | None = None,
        trusted: bool = False,
        seconds: float | None = None,
        fail_fast: bool = False,
    ) -> Report:
        """See `judge`."""
        begin = time.perf_counter()
        stems = ("tests", "hidden") if hidden else ("tests",)
        if not trusted:
            found = look(code, exercise.entry, exercise.imports)
            if found.fault:
                outcome = Outcome(_not_run(exercise, stems, only, found.fault), broken=found.fault)
                return self._report(exercise, outcome, begin)
        task = Task(
            name=exercise.name,
            entry=exercise.entry,
            code=code,
            files=tuple((stem, exercise.file(f"{stem}.py").read_text(encoding="utf-8")) for stem in stems),
            seconds=seconds or getattr(self.settings, "judge_seconds", None) or exercise.seconds,
            memory=(getattr(self.settings, "judge_memory", None) or exercise.memory) * MEBI,
            growth=exercise.growth.sizes if growth and hidden and only is None and exercise.growth else None,
            only=None if only is None else frozenset(only),
            trusted=trusted,
            fail_fast=fail_fast,
        )
        outcome = self.examine(task, stop, progress)
        if not outcome.verdicts:
            outcome.verdicts = _not_run(exercise, stems, only, outcome.broken)
        return self._report(exercise, outcome, begin)

    def _report(self, exercise: Exercise, outcome: Outcome, begin: float) -> Report:
        return Report(
            exercise=exercise.name,
            verdicts=tuple(outcome.verdicts),
            incidents=tuple(outcome.incidents),
            output=outcome.output,
            wall=time.perf_counter() - begin,
            cpu=outcome.cpu,
            memory=outcome.memory,
            isolation=self.isolation,
            growth=_growth(exercise, outcome),
            broken=outcome.broken,
            timed_out=outcome.timed_out,
        )


def _not_run(
    exercise: Exercise, stems: tuple[str, ...], only: Collection[str] | None, why: str
) -> list[Verdict]:
    return [
        Verdict(name, stem == "hidden", "not_run", why)
        for stem in stems
        for name, _, _ in tests_in(exercise.file(f"{stem}.py"))
        if only is None or name in only
    ]


def _growth(exercise: Exercise, outcome: Outcome) -> Growth | None:
    if outcome.grown is None or exercise.growth is None:
        return None
    sizes, seconds = [int(n) for n in outcome.grown["sizes"]], [float(t) for t in outcome.grown["seconds"]]
    found = fitted(sizes, seconds, exercise.growth.expect)
    note = " ".join(text for text in (found.note, str(outcome.grown["note"])) if text)
    return Growth(
        *(found.looks_like, found.exponent, found.low, found.high, found.sizes, found.seconds),
        *(found.expected, found.meets, note),
    )


_shared: dict[str, Judge] = {}
_lock = threading.Lock()


def shared_judge(settings: Any = None) -> Judge:
    """The process's own, one for each isolation that settings name."""
    name = str(getattr(settings, "judge_isolation", None) or "auto")
    with _lock:
        if name not in _shared:
            _shared[name] = Judge(settings)
        return _shared[name]


def close() -> None:
    """End the workers of this process; the next submission starts one again."""
    with _lock:
        judges = list(_shared.values())
        _shared.clear()
    for one in judges:
        one.close()


def judge(exercise: Exercise, code: str, *, settings: Any = None, **options: Any) -> Report:
    """Run code against the tests of an exercise. Never raises for what the code does.

    options: hidden (True: the hidden tests too), only (names of tests), growth (True: measure it where the
    exercise asks), stop (an Event that ends it), progress (called with each Verdict), trusted (the book's own
    code, which may import all that this process can), seconds (instead of the exercise's limit), fail_fast
    (no test after the first that fails).
    """
    return shared_judge(settings).run(exercise, code, **options)
