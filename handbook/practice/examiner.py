"""The examiner's process: holds the tests and no line of the submission, and says verdicts one by one.

Expected values and comparisons live here only; `submission` is a handle on another process.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import linecache
import os
import sys
import time
import types
from collections.abc import Callable
from typing import Any

from handbook.practice.failures import verdict_of
from handbook.practice.frames import Channel, Ended, Garbled
from handbook.practice.growth import BUDGET, collect
from handbook.practice.guards import TestFiles
from handbook.practice.proxies import RemoteModule, module_of, source_of
from handbook.practice.remote import Peer
from handbook.practice.verdicts import cut

REPEATS = 3  # of each size
GROWTH_WALL = 2.5  # seconds for measuring growth, making and sending the inputs included


class _Enough(Exception):
    """Time for growth is up."""


def load(stem: str, source: str) -> types.ModuleType:
    """A test file as a module; hidden.py may import what tests.py defines."""
    file = f"{stem}.py"
    module = types.ModuleType(stem)
    module.__file__ = file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    sys.modules[stem] = module
    exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
    return module


def says(test: Callable[..., Any]) -> str:
    """The first line of its docstring, or its name in words."""
    lines = (test.__doc__ or "").strip().splitlines()
    words = test.__name__.removeprefix("test_").replace("_", " ")
    return lines[0].strip() if lines else f"{words[:1].upper()}{words[1:]}."


class Examiner:
    """modules by stem; tests in the order of the files."""

    def __init__(self, control: Channel, peer: Peer, modules: dict[str, types.ModuleType]) -> None:
        self.control, self.peer, self.modules = control, peer, modules
        self.submission: RemoteModule = module_of(peer)
        self.passed = 0
        self.files = frozenset(f"{stem}.py" for stem in modules)
        self.tests = [
            (stem, name, value)
            for stem, module in modules.items()
            for name, value in vars(module).items()
            if name.startswith("test_") and isinstance(value, types.FunctionType)
        ]

    def run(self, number: int) -> bool:
        """One test and its verdict. False when nothing more can be asked of the submission."""
        _, _, test = self.tests[number]
        self.peer.failed.clear()
        self.peer.refused.clear()
        self.control.send({"start": number})
        self.control.recv()  # the parent has noted the time
        alive = True
        fault: BaseException | None = None
        begin = time.perf_counter()
        try:
            test(self.submission)
        except (Ended, Garbled) as error:
            alive, fault = False, error
        except BaseException as error:
            fault = error
        wall = time.perf_counter() - begin
        if alive and self.peer.failed:  # an assertion in a callback, which the submission may have swallowed
            fault = self.peer.failed[0]
        made: dict[str, Any] = {"state": "passed", "message": "", "difference": None, "line": None}
        output = ""
        self.passed += fault is None
        try:
            if fault is not None:
                made = verdict_of(fault, self.files)
            output = str(self.peer.ask("printed", 0)) if alive else ""
        except BaseException as error:  # forged, or values whose text raises: this process goes on
            lost = error if isinstance(error, (Ended, Garbled)) else Garbled(f"raised {type(error).__name__}")
            alive, fault = False, fault or lost
            made = verdict_of(fault, self.files)
        self.control.send(
            {
                "verdict": number,
                **made,
                "wall": wall,
                "output": cut(output, 8000),
                "refused": [cut(text, 300) for text in self.peer.refused[:3]],
                "exit": isinstance(fault, SystemExit),
                "ended": isinstance(fault, Ended),
                "garbled": str(fault) if isinstance(fault, Garbled) else "",
            }
        )
        return alive

    def clock(self) -> float:
        """Processor seconds of the submission's process, by the parent, which looks from outside."""
        self.control.send({"clock": True})
        return float(self.control.recv()[0]["cpu"])

    def growth(self, entry: str, sizes: list[int]) -> dict[str, Any]:
        """sizes and seconds of the entry, or of the driver, over inputs of hidden.py."""
        hidden = vars(self.modules["hidden"])
        make, driver = hidden.get("growth_input"), hidden.get("growth_driver")
        begin, base, best = time.perf_counter(), 0.0, dict[int, float]()
        rounds = dict[int, float]()  # wall seconds of one call with its input

        def timed() -> float:
            before = self.clock()
            self.peer.ask("run", 0)
            return self.clock() - before

        def step(n: int) -> float:
            started = time.perf_counter()
            ahead = rounds.get(n) or 2 * max(rounds.values(), default=0.0)
            if started - begin + ahead > GROWTH_WALL:
                raise _Enough
            if driver is not None:
                self.peer.ask("hold", 1, driver.__name__, (source_of(driver), n))
            else:
                assert make is not None
                self.peer.ask("hold", 0, entry, make(n))
            seconds = max(timed() - base, 1e-9)
            best[n] = min(seconds, best.get(n, seconds))
            rounds[n] = time.perf_counter() - started
            return seconds

        note = ""
        try:
            self.peer.ask("hold", 0, "", ())
            base = min(timed() for _ in range(5))
            collect(step, sizes, BUDGET, REPEATS)
        except _Enough:
            pass
        except (Ended, Garbled):
            note = "The next size took too long."
        except BaseException as error:
            note = f"Stopped by {verdict_of(error, self.files)['message']}"
        return {"sizes": list(best), "seconds": list(best.values()), "note": cut(note, 300)}


def main(control: int, calls: int) -> None:
    """control: the parent, which sends the tests and hears the verdicts; calls: the submission's process."""
    said, channel = Channel.of(control), Channel.of(calls)
    job, _ = said.recv()
    try:
        modules = {stem: load(stem, source) for stem, source in job["files"]}
    except BaseException as error:
        said.send({"broken": cut(f"The tests cannot be loaded. {type(error).__name__}: {error}")})
        return
    peer = Peer(channel, TestFiles(frozenset(modules)))
    examiner = Examiner(said, peer, modules)
    said.send({"plan": [[stem, name, says(test)] for stem, name, test in examiner.tests]})
    chosen, _ = said.recv()
    for number in chosen["run"]:
        before = examiner.passed
        alive = examiner.run(number)
        if not alive or (chosen["fail_fast"] and examiner.passed == before):
            break
    passed = examiner.passed == len(chosen["run"])
    answer, _ = _ask(said, {"tested": passed})
    if passed and answer.get("growth"):
        said.send({"grown": examiner.growth(answer["entry"], answer["sizes"])})
    said.send({"done": True})
    os._exit(0)


def _ask(said: Channel, message: dict[str, Any]) -> tuple[Any, memoryview]:
    said.send(message)
    return said.recv()
