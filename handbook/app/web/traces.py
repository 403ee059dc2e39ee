"""Where the live view's steps come from: a scripted run, a trace that was opened, this app's own engine.

Each is a `Source`: positions from `first` to `last`, and a step for each of them.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

from handbook.engine.scenarios import SCENARIOS
from handbook.engine.scripted import Knobs, Scenario, fitted, run
from handbook.engine.trace import Header, Recorder, Step
from handbook.engine.tracefile import parse
from handbook.errors import HandbookError
from handbook.lab.serving.view import frame, rates

TRACES_KEPT = 4
TRACE_LIMIT = 20 << 20  # bytes of a trace that is opened here
STEPS_LIMIT = 50_000
ENDS = {
    "closed": "",
    "limit": "The trace had grown to its limit and ends there; the run went on.",
    "cut": "The trace ends without its last line: the run was killed, or still goes on.",
}


@dataclass(frozen=True)
class Source:
    """query: what names it in an address. notes: what to know about it."""

    title: str
    query: str
    header: Header
    first: int
    steps: Sequence[Step]
    speeds: Sequence[float]
    notes: tuple[str, ...] = ()

    @property
    def last(self) -> int:
        return self.first + len(self.steps) - 1

    def nearest(self, at: int) -> int:
        """A position that is there."""
        return max(self.first, min(self.last, at))

    def drawn(self, at: int) -> str:
        """A step as HTML."""
        index = at - self.first
        return frame(self.header, self.steps[index], self.speeds, index)


def knobs_of(given: Mapping[str, str], scenario: Scenario) -> Knobs:
    """Knobs from an address: all of them where `set` is there (an unchecked box sends nothing), else the
    scenario's own. Raises HandbookError."""
    if "set" not in given:
        return scenario.knobs
    values: dict[str, Any] = {}
    for field in fields(Knobs):
        text, own = given.get(field.name, ""), getattr(scenario.knobs, field.name)
        if isinstance(own, bool):
            values[field.name] = text == "1"
        elif not text:
            values[field.name] = own
        elif text.isascii() and text.isdigit() and len(text) < 8:
            values[field.name] = int(text)
        else:
            raise HandbookError(f"Expected a number for {field.name}, got {text[:40]!r}.", "Correct it.")
    return Knobs(**values)


def query_of(scenario: Scenario, knobs: Knobs) -> str:
    values = {name: int(value) for name, value in asdict(knobs).items() if value is not False}
    return urlencode({"scenario": scenario.name, "set": 1, **values})


@lru_cache(maxsize=24)
def _run(name: str, knobs: Knobs) -> tuple[Header, list[Step], list[float]]:
    header, steps = run(SCENARIOS[name], knobs)
    return header, steps, rates([s.given for s in steps], [s.seconds for s in steps])


def scripted(scenario: Scenario, knobs: Knobs) -> Source:
    """Raises HandbookError for knobs that can't be."""
    fit, notes = fitted(scenario, knobs)
    header, steps, speeds = _run(scenario.name, fit)
    said = tuple(note[0].upper() + note[1:] + "." for note in notes)
    return Source(scenario.title, query_of(scenario, knobs), header, 0, steps, speeds, said)


class Traces:
    """Traces that were opened here, the last few; in memory, until the handbook ends."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Source] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, name: str, data: bytes) -> str:
        """Keeps a trace and returns the key that it is found by. Raises TraceError."""
        trace = parse(BytesIO(data), name, TRACE_LIMIT, STEPS_LIMIT)
        key = secrets.token_urlsafe(9)
        speeds = rates(trace.given, trace.seconds)
        notes = tuple(note for note in (ENDS[trace.end],) if note)
        with self._lock:
            self._kept[key] = Source(name, urlencode({"trace": key}), trace.header, 0, trace, speeds, notes)
            while len(self._kept) > TRACES_KEPT:
                self._kept.popitem(last=False)
        return key

    def source(self, key: str) -> Source:
        """Raises HandbookError for one that is not kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                raise HandbookError(
                    f"That trace is gone: the last {TRACES_KEPT} are kept, until the handbook ends.",
                    "Open its file again.",
                )
            self._kept.move_to_end(key)
        return found


def recorder_of(chat: object) -> Recorder | None:
    """The recorder of the engine behind a chat; None where it runs in another program."""
    found = getattr(chat, "recorder", None)
    return found if isinstance(found, Recorder) else None


def own(recorder: Recorder) -> Source | None:
    """The last steps of this app's engine; None while it has made none."""
    steps = recorder.steps()
    if not steps or recorder.header is None:
        return None
    speeds = rates([step.given for step in steps], [step.seconds for step in steps])
    return Source("This app's engine", "own=1", recorder.header, steps[0].n, steps, speeds)
