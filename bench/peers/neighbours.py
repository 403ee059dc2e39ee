"""Whether anybody else used the processors while something was measured."""

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

import psutil

T = TypeVar("T")
TRIES = 4
ENOUGH = 0.1  # of one core
LONG = 20.0  # seconds, after which nothing is made again


def busy() -> float:
    """Seconds that all cores together have worked, or were kept from working by the machine's host."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def used(pids: list[int]) -> float:
    """Seconds of these processes, of theirs, and of this one with all that it waited for."""
    own = psutil.Process()
    found = sum(own.cpu_times()[:4])
    for pid in pids:
        for process in (root := psutil.Process(pid), *root.children(recursive=True)):
            found += sum(process.cpu_times()[:4])
    return found


def undisturbed(run: Callable[[], T], pids: list[int], tries: int = TRIES) -> tuple[T, float]:
    """What `run` gives, and how many cores others used meanwhile; again where that was too much and
    it is short, and then whichever run was disturbed least."""
    best: tuple[T, float] | None = None
    spent = 0.0
    for _ in range(tries):
        before, worked, begin = busy(), used(pids), perf_counter()
        result = run()
        seconds = perf_counter() - begin
        spent += seconds
        others = max(0.0, busy() - before - (used(pids) - worked)) / seconds
        if best is None or others < best[1]:
            best = result, others
        if (
            spent > LONG or others <= ENOUGH + 0.04 / seconds
        ):  # the system counts in hundredths of a second, on each core
            break
    assert best is not None
    return best
