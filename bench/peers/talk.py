"""How the benchmark speaks with a side, which is a process of its own: a line of JSON in, a line out.

    {"requests": [{"at": 0.0, "prompt": [1, 2], "tokens": 16}], "switches": {}}
    {"times": [[0.01, 0.02]], "resident": 1e8, ...}

at: seconds after the start when it arrives. times: of each request, the seconds at which its tokens came, one
for each token. The first line out says what the side is (`about`). Standard library only: peers run in
environments of their own.
"""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: when it comes, its prompt's ids, and how many tokens it wants. No token ends it sooner."""

    at: float
    prompt: Sequence[int]
    tokens: int


class Side(Protocol):
    """What is measured."""

    def about(self) -> dict[str, Any]:
        """version, precision and whatever else is worth telling."""
        ...

    def run(self, asks: Sequence[Ask], switches: dict[str, Any]) -> dict[str, Any]:
        """Answers them all; `times` and more."""
        ...


Times = list[list[float]]


def drive(
    asks: Sequence[Ask], admit: Callable[[int, Ask], None], step: Callable[[], dict[int, int]]
) -> Times:
    """Runs an engine that makes steps: everybody is let in when it is time. step: tokens that came, by the
    request's number; it is called while any request is open."""
    order = deque(sorted(range(len(asks)), key=lambda n: asks[n].at))
    times: Times = [[] for _ in asks]
    open_, start = 0, perf_counter()
    while order or open_:
        now = perf_counter() - start
        while order and asks[order[0]].at <= now:
            admit(order[0], asks[order[0]])
            order.popleft()
            open_ += 1
        if not open_:
            sleep(max(0.0, asks[order[0]].at - (perf_counter() - start)))
            continue
        came = step()
        now = perf_counter() - start
        for number, count in came.items():
            times[number] += [now] * count
            open_ -= len(times[number]) >= asks[number].tokens
    return times


def memory() -> dict[str, int]:
    """Bytes of this process that are resident now, and that were at most. Zero where it can't be known."""
    found = {"resident": 0, "resident_peak": 0}
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(":")
            if key in ("VmRSS", "VmHWM"):
                found["resident" if key == "VmRSS" else "resident_peak"] = int(value.split()[0]) * 1024
    return found


def arguments(argv: Sequence[str] | None = None) -> Namespace:
    parser = ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--precision", default="")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--context", type=int, default=2048)
    return parser.parse_args(argv)


def answer(make: Callable[[Namespace], Side], argv: Sequence[str] | None = None) -> None:
    """The side's end: one line about itself, then an answer to each line. Whatever else is printed in this
    process goes to standard error."""
    options = arguments(argv)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(told: dict[str, Any]) -> None:
        out.write(json.dumps(told) + "\n")
        out.flush()

    side = make(options)
    say(side.about())
    for line in sys.stdin:
        told = json.loads(line)
        asks = [Ask(each["at"], each["prompt"], each["tokens"]) for each in told["requests"]]
        say({**side.run(asks, told.get("switches", {})), **memory()})
