"""One submission judged: two cells, the examiner and the submission, and the clock between them.

This process only reads what they say. Times and memory of the submission are taken from outside.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from handbook.practice.frames import Channel, Ended, Garbled
from handbook.practice.sandbox import Cell, Limits, Sandbox
from handbook.practice.verdicts import Difference, Incident, Verdict, cut

TICK = 0.03  # seconds between two looks at the clock
LOADING = 30.0  # seconds for both processes to start and to load; a cold start imports torch
GRACE = 1.0  # seconds in which the examiner hears that the submission is gone
SLOW = 2.0  # seconds for the rest of a message that has begun
GROWING = 6.0  # seconds for measuring growth, after which both processes are ended
MESSAGE = 4 << 20  # bytes of one message to this process
EXAMINER = Limits(wall=120, cpu=120, memory=3 << 30, processes=64, files=64)
GARBLED = "The submission's process sent something that is no message of the judge."
UNTOLD = "The tests sent something that is no verdict."
FAULTS = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)
Progress = Callable[[Verdict], None]


@dataclass(frozen=True, slots=True)
class Task:
    """What to run. files: (stem, source) of the test files; growth: sizes to measure at, None for not at all.

    only: names of tests, None for all. memory: bytes.
    """

    name: str
    entry: str
    code: str
    files: tuple[tuple[str, str], ...]
    seconds: float
    memory: int
    growth: tuple[int, ...] | None = None
    only: frozenset[str] | None = None
    trusted: bool = False
    fail_fast: bool = False


@dataclass
class Outcome:
    """What came of it, before it becomes a report."""

    verdicts: list[Verdict] = field(default_factory=list)
    incidents: dict[Incident, None] = field(default_factory=dict)
    output: str = ""
    cpu: float = 0.0
    memory: int = 0
    broken: str = ""
    line: int | None = None
    timed_out: bool = False
    grown: Mapping[str, Any] | None = None

    def note(self, kind: Any, what: str) -> None:
        self.incidents.setdefault(Incident(kind, cut(what, 300)))


def wait_for(channel: Channel, deadline: float, stop: threading.Event | None) -> bool:
    """Wait until something can be read. False when the time is up, or when the person stopped it: also for
    somebody who sends one message after another."""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or (stop is not None and stop.is_set()):
            return False
        if channel.waiting or select.select([channel], [], [], min(TICK, left))[0]:
            return True


class Over(Exception):
    """Time is up, the person stopped it, or a process that is needed is gone."""


class Session:
    """Both cells of one task. Use as a context manager; nothing of it outlives the block."""

    def __init__(
        self, sandbox: Sandbox, task: Task, stop: threading.Event | None, progress: Progress | None
    ) -> None:
        self.sandbox, self.task, self.stop, self.progress = sandbox, task, stop, progress
        self.outcome = Outcome()
        self.plan: list[tuple[str, str, str]] = []
        self.deadline = time.monotonic() + LOADING
        self.why = f"It was not loaded within {LOADING:g} s."
        self.running: int | None = None
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> Session:
        task = self.task
        pairs = [socket.socketpair() for _ in range(3)]
        (inner, inner_end), (examiner, examiner_end), (calls, calls_end) = pairs
        wall = LOADING + task.seconds + (GROWING if task.growth is not None else 0) + GRACE
        limits = Limits(wall=wall, cpu=wall, memory=task.memory)
        try:
            self.inner = self._start(
                "handbook.practice.inner:main", (inner_end, calls_end), limits, task.trusted
            )
            self.examiner = self._start(
                "handbook.practice.examiner:main", (examiner_end, calls), EXAMINER, False
            )
        except BaseException:
            self.stack.close()
            for sock in (inner, examiner):
                sock.close()
            raise
        finally:
            for sock in (inner_end, examiner_end, calls, calls_end):
                sock.close()
        self.channels = [Channel(sock, MESSAGE, raw=0) for sock in (inner, examiner)]
        for sock in (inner, examiner):
            sock.settimeout(SLOW)
            self.stack.callback(sock.close)
        return self

    def _start(self, main: str, ends: tuple[socket.socket, ...], limits: Limits, trusted: bool) -> Cell:
        cell = self.sandbox.start(main, [end.fileno() for end in ends], limits, trusted=trusted)
        self.stack.callback(cell.kill, "done")
        return cell

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    # Hearing

    def hear(self, channel: Channel, cell: Cell) -> dict[str, Any]:
        """The next message. Raises Over with the reason where there will be none."""
        if not wait_for(channel, self.deadline, self.stop):
            if self.stop is not None and self.stop.is_set():
                raise Over("Stopped.")
            self.outcome.timed_out = True
            self.outcome.note("time", self.why)
            raise Over(self.why)
        try:
            message, _ = channel.recv(SLOW)
        except Ended:
            raise Over(self.gone(cell)) from None
        except (Garbled, TimeoutError) as error:
            self.outcome.note("protocol", f"Wrote to the judge's channel: {error}.")
            raise Over(GARBLED) from None
        if not isinstance(message, dict):
            raise Over(GARBLED)
        return message

    def gone(self, cell: Cell) -> str:
        """Why a process is not there any more, in words."""
        cell.wait(GRACE)
        found = [
            incident for incident in cell.incidents if incident.kind in ("time", "memory", "output", "exit")
        ]
        if cell is self.inner:
            if cell.status is not None and cell.status >= 0 and not cell.ended.startswith("Held"):
                text = f"Ended its own process (exit status {cell.status})."
                if not found:
                    self.outcome.note("exit", text)
                    return f"The process ended early (exit status {cell.status})."
            self.outcome.timed_out |= any(incident.kind == "time" for incident in found)
            return found[0].what if found else f"The process ended: {cell.ended or 'nobody knows why'}."
        self.outcome.note("value", f"The examiner could not read what came: {cell.ended}.")
        return f"The examiner ended: {cell.ended}."

    # The story

    def run(self) -> Outcome:
        """Load, test, measure growth; whatever happens there is an outcome."""
        try:
            if self._load():
                self._test()
        except Over as over:
            self._rest(str(over))
        except (Ended, TimeoutError):
            self._rest(self.gone(self.inner) if self.inner.status is not None else "The examiner is gone.")
        self._finish()
        return self.outcome

    def _load(self) -> bool:
        task, (inner, examiner) = self.task, self.channels
        inner.send({"code": task.code, "entry": task.entry, "trusted": task.trusted})
        examiner.send({"files": [list(file) for file in task.files]})
        plan = self.hear(examiner, self.examiner)
        if "plan" not in plan:
            self.outcome.broken = cut(plan.get("broken", "The tests cannot be loaded."))
            return False
        try:
            self.plan = [(cut(stem), cut(name, 200), cut(says, 300)) for stem, name, says in plan["plan"]]
        except FAULTS:
            raise self.untold() from None
        self.why = "It was not loaded within the time that its tests have."
        self.deadline = min(self.deadline, time.monotonic() + max(task.seconds, 10.0))
        loaded = self.hear(inner, self.inner)
        if loaded.get("loaded") is not True:
            text = cut(loaded.get("broken", "The submission cannot be loaded."))
            self.outcome.broken = text
            line = loaded.get("line")
            self.outcome.line = line if type(line) is int else None
            if loaded.get("exit"):
                self.outcome.note("exit", "Called sys.exit while it was loaded.")
            self.name_failures(text)
            self._rest(text, started=False)
            return False
        return True

    def _test(self) -> None:
        task, (_, examiner) = self.task, self.channels
        chosen = [i for i, plan in enumerate(self.plan) if task.only is None or plan[1] in task.only]
        self.plan = [plan if i in chosen else ("", "", "") for i, plan in enumerate(self.plan)]
        self.why = f"Time ran out after {task.seconds:g} s."
        self.deadline = time.monotonic() + task.seconds
        self.cpu, self.base = 0.0, (0, 0)
        examiner.send({"run": chosen, "fail_fast": task.fail_fast})
        while True:
            message = self.hear(examiner, self.examiner)
            if "start" in message:
                self.running = self._number(message["start"])
                self.cpu, self.base = self.inner.cpu(), self.inner.memory()
                examiner.send({})
            elif "verdict" in message:
                self._verdict(message)
            elif "tested" in message:
                grow = bool(message["tested"]) and task.growth is not None
                self.why, self.deadline = "Measuring growth took too long.", time.monotonic() + GROWING
                examiner.send({"growth": grow, "entry": task.entry, "sizes": list(task.growth or ())})
            elif "clock" in message:
                examiner.send({"cpu": self.inner.cpu()})
            elif "grown" in message:
                self.outcome.grown = message["grown"]
            elif "done" in message:
                if self.plan and len(self.outcome.verdicts) < len(chosen):
                    self._rest("An earlier test failed." if task.fail_fast else "The judge ended early.")
                return

    def untold(self) -> Over:
        """Tests of strangers run in the examiner, and may say anything."""
        self.outcome.note("protocol", UNTOLD)
        return Over(UNTOLD)

    def _number(self, said: Any) -> int:
        """Of a test of the plan that is to run."""
        if type(said) is not int or not 0 <= said < len(self.plan) or not self.plan[said][1]:
            raise self.untold()
        return said

    def _verdict(self, made: dict[str, Any]) -> None:
        try:
            verdict = self._read(made, *self.plan[self._number(made["verdict"])])
        except FAULTS:
            raise self.untold() from None
        self.running = None
        self._add(verdict)
        if made["ended"] or made["garbled"]:
            raise Over(verdict.message.removesuffix(" This test was running."))

    def _read(self, made: dict[str, Any], stem: str, name: str, says: str) -> Verdict:
        """Raises one of FAULTS for what is no verdict."""
        cpu, (now, peak) = self.inner.cpu() - self.cpu, self.inner.memory()
        memory = peak if peak > self.base[1] else max(now, self.base[0])
        message, state = cut(made["message"]), made["state"]
        if state not in ("passed", "failed", "error"):
            raise ValueError(state)
        if made["ended"] or made["garbled"]:
            if made["garbled"]:
                self.outcome.note("protocol", f"Sent a forged or broken answer: {made['garbled']}.")
                reason = GARBLED
            else:
                reason = self.gone(self.inner)
            message = f"{reason} This test was running."
        if made["exit"]:
            self.outcome.note("exit", "Called sys.exit in a test.")
        for text in made["refused"]:
            self.outcome.note("value", f"Handed back {text}.")
        if state == "error":
            self.name_failures(message)
        difference = Difference(**_tuples(made["difference"])) if made["difference"] else None
        return Verdict(
            name=name,
            hidden=stem == "hidden",
            state=state,
            message=message,
            difference=difference,
            wall=float(made["wall"]),
            cpu=cpu,
            memory=memory,
            output=cut(made["output"], 8000),
            line=made["line"] if type(made["line"]) is int else None,
            says=says,
        )

    def name_failures(self, message: str) -> None:
        """Refusals of the system that the submission saw as exceptions."""
        if message.startswith("MemoryError") or "allocate memory" in message or "alloc_cpu" in message:
            self.outcome.note("memory", f"Wanted more than {self.task.memory >> 20:,} MiB.")
        if "can't start new thread" in message:
            self.outcome.note("threads", "Wanted more threads than there may be.")
        if "OSError: [Errno 27]" in message or "OSError: [Errno 28]" in message:  # EFBIG, ENOSPC
            self.outcome.note("files", "Wrote more to its folder than that may hold.")

    def _add(self, verdict: Verdict) -> None:
        self.outcome.verdicts.append(verdict)
        if self.progress is not None:
            self.progress(verdict)

    def _rest(self, why: str, started: bool = True) -> None:
        """Verdicts of the tests that have none."""
        if self.running is not None:
            stem, name, says = self.plan[self.running]
            self._add(Verdict(name, stem == "hidden", "error", f"{why} This test was running.", says=says))
        elif not self.outcome.verdicts and not self.outcome.broken:
            self.outcome.broken = why
        known = {(verdict.name, verdict.hidden) for verdict in self.outcome.verdicts}
        for stem, name, says in self.plan:
            if name and (name, stem == "hidden") not in known:
                self._add(
                    Verdict(
                        name, stem == "hidden", "not_run", f"Not run. {why}" if started else why, says=says
                    )
                )

    def _finish(self) -> None:
        """Both processes end; what the submission printed and used."""
        cell = self.inner
        left = _threads(cell.pid) if cell.status is None else 0
        if left > 1:
            self.outcome.note("threads", f"Left {left - 1} threads running.")
        self.examiner.kill("done")
        if not cell.wait(0.15):
            cell.kill("done")
            cell.wait(GRACE)
        self.outcome.cpu, (_, self.outcome.memory) = cell.cpu(), cell.memory()
        self.outcome.output = cell.output
        for incident in cell.incidents:
            if incident.kind != "time" or not self.outcome.timed_out or not self.outcome.incidents:
                self.outcome.incidents.setdefault(incident)


def _tuples(difference: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in difference.items()}


def _threads(pid: int) -> int:
    """Threads of a process; 0 where the system does not say."""
    try:
        return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    except OSError:
        return 0
