"""A person's own input: a snippet run after the submission, beside the same with the book's solution.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import ast
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

from handbook.book.nouns import Exercise
from handbook.practice.frames import Channel, Ended, Garbled
from handbook.practice.judge import MEBI, Judge, shared_judge
from handbook.practice.sandbox import Limits
from handbook.practice.session import LOADING, MESSAGE, SLOW, wait_for
from handbook.practice.statics import look
from handbook.practice.verdicts import Incident, cut

SNIPPET = 20_000  # characters
INNER = "handbook.practice.inner:main"


@dataclass(frozen=True, slots=True)
class Tried:
    """What a snippet gave: its last expression as text, what it printed, or why it ended; wall: seconds.

    memory: bytes beyond the base. reference_*: the same with the book's solution, empty where not asked.
    """

    value: str
    output: str
    error: str
    reference_value: str
    reference_error: str
    wall: float
    memory: int
    incidents: tuple[Incident, ...]


@dataclass
class _Shown:
    value: str = ""
    output: str = ""
    error: str = ""
    wall: float = 0.0
    memory: int = 0
    incidents: tuple[Incident, ...] = ()


def try_input(
    exercise: Exercise,
    code: str,
    snippet: str,
    *,
    reference: bool = True,
    settings: Any = None,
    stop: threading.Event | None = None,
    using: Judge | None = None,
) -> Tried:
    """Run `snippet` after the submission; reference: and after the book's solution, in a process of its own.

    Never raises for what either does.
    """
    judge = using or shared_judge(settings)
    found = look(code, "", exercise.imports)
    if found.fault:
        mine = _Shown(error=found.fault)
    elif len(snippet) > SNIPPET:
        mine = _Shown(error=f"Expected at most {SNIPPET:,} characters of input, got {len(snippet):,}.")
    else:
        mine = _run(judge, exercise, {"code": code}, snippet, stop)
    theirs = _Shown()
    if reference and len(snippet) <= SNIPPET and not (stop and stop.is_set()):
        solution = exercise.file("solution.py").read_text(encoding="utf-8")
        theirs = _reference(judge, exercise, solution, snippet, stop)
    return Tried(
        *(mine.value, mine.output, mine.error, theirs.value, theirs.error),
        *(mine.wall, mine.memory, mine.incidents),
    )


def _reference(
    judge: Judge, exercise: Exercise, solution: str, snippet: str, stop: threading.Event | None
) -> _Shown:
    """The snippet beside the book's solution, which stays in a process of its own where it is our own code:
    it may import the handbook, and the snippet, a stranger's, may only call it."""
    if exercise.solution is None:
        return _run(judge, exercise, {"code": solution}, snippet, stop)
    tree = ast.parse(solution)
    names = [n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name[0] != "_"]
    lines = [ast.unparse(n) for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    imports = "\n".join(line for line in lines if "handbook" not in line)
    ours, control = socket.socketpair()
    calls, lent = socket.socketpair()
    with ours, calls:
        with control, lent:
            fds = [control.fileno(), lent.fileno()]
            lender = judge.sandbox.start(INNER, fds, _limits(judge, exercise), trusted=True)
        try:
            ours.settimeout(SLOW)
            channel = Channel(ours, MESSAGE, raw=0)
            channel.send({"code": solution, "entry": exercise.entry, "trusted": True, "lent": True})
            said = _hear(channel, LOADING, "The book's solution was not loaded in time.", stop)
            if said.get("loaded") is not True:
                return _Shown(error=cut(said.get("broken", "The book's solution cannot be loaded.")))
            return _run(judge, exercise, {"code": imports, "borrow": names}, snippet, stop, calls)
        except (_Over, Ended, Garbled, TimeoutError) as over:
            return _Shown(error=cut(over))
        finally:
            lender.kill("done")


def _limits(judge: Judge, exercise: Exercise) -> Limits:
    wall = LOADING + _seconds(judge, exercise)
    memory = getattr(judge.settings, "judge_memory", None) or exercise.memory
    return Limits(wall=wall, cpu=wall, memory=memory * MEBI)


def _seconds(judge: Judge, exercise: Exercise) -> float:
    return float(getattr(judge.settings, "judge_seconds", None) or exercise.seconds)


def _run(
    judge: Judge,
    exercise: Exercise,
    job: dict[str, Any],
    snippet: str,
    stop: threading.Event | None,
    calls: socket.socket | None = None,
) -> _Shown:
    """One cell, untrusted. calls: to the process whose functions it borrows."""
    seconds = _seconds(judge, exercise)
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            fds = [theirs.fileno(), *([calls.fileno()] if calls else ())]
            cell = judge.sandbox.start(INNER, fds, _limits(judge, exercise))
        ours.settimeout(SLOW)
        channel, shown = Channel(ours, MESSAGE, raw=0), _Shown()
        begin = time.perf_counter()
        try:
            channel.send({"entry": "", **job})
            said = _hear(channel, LOADING, f"It was not loaded within {LOADING:g} s.", stop)
            if said.get("loaded") is True:
                begin = time.perf_counter()
                channel.send({"snippet": snippet})
                said = _hear(channel, seconds, f"Time ran out after {seconds:g} s.", stop)
                shown.value, shown.error = cut(said.get("value", "")), cut(said.get("error", ""))
            else:
                shown.error = cut(said.get("broken", "The submission cannot be loaded."))
        except _Over as over:
            shown.error = str(over)
            if shown.error.startswith("Time"):
                shown.incidents = (Incident("time", shown.error),)
        except (Ended, Garbled, TimeoutError):
            cell.wait(1.0)
            shown.error = f"The process ended early: {cell.ended or 'it closed its channel'}."
        shown.wall = time.perf_counter() - begin
        if not cell.wait(0.15):
            cell.kill("done")
            cell.wait(1.0)
    shown.output, shown.memory = cell.output, cell.memory()[1]
    shown.incidents += tuple(i for i in cell.incidents if i not in shown.incidents)
    return shown


class _Over(Exception):
    """Stopped, or out of time."""


def _hear(channel: Channel, seconds: float, why: str, stop: threading.Event | None) -> dict[str, Any]:
    if not wait_for(channel, time.monotonic() + seconds, stop):
        raise _Over("Stopped." if stop is not None and stop.is_set() else why)
    message, _ = channel.recv(SLOW)
    if not isinstance(message, dict):
        raise Garbled("no message of ours")
    return message
