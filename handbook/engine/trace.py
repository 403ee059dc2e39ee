"""What a step did, and how everything stood after it: for looking at an engine while it runs, and later.

A `Step` holds counts, numbers of pages and ids of requests; no text and no token of anybody. `observer` makes
them from the scheduler's own state, `Recorder` keeps the last ones, `tracefile` writes them down.

    engine = Engine(loaded, watch=recorder)     # or engine.watch(recorder), at any time

Book: inference-ops/llm-serving-optimization
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from handbook.engine.pages import Copy
from handbook.engine.scheduler import Scheduler
from handbook.engine.work import Reason

State = Literal["running", "waiting", "swapped", "ended"]
Kind = Literal["prefill", "decode"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What ran: pages of `page` positions, and the scheduler's limits (see `Limits`).

    clock: "simulated" where the seconds are made up. made: date and time, ISO 8601.
    """

    model: str
    pages: int
    page: int
    tokens: int
    running: int
    chunked: bool = True
    chunk: int = 0
    swap: int = 0
    speculation: str = "off"
    clock: Literal["real", "simulated"] = "real"
    made: str = ""

    @classmethod
    def of(
        cls,
        scheduler: Scheduler,
        model: str,
        speculation: str = "off",
        clock: Literal["real", "simulated"] = "real",
    ) -> "Header":
        pages, limits = scheduler.pages, scheduler.limits
        return cls(
            model=model,
            pages=pages.count,
            page=pages.size,
            tokens=limits.tokens,
            running=limits.running,
            chunked=limits.chunked,
            chunk=limits.chunk,
            swap=limits.swap,
            speculation=speculation,
            clock=clock,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
        )


class Part(NamedTuple):
    """One sequence's share of a step: `tokens` of its text, from position `start`. Of them the last `drafts`
    were guesses, `accepted` of them right; given: tokens that it said."""

    sequence: int
    kind: Kind
    start: int
    tokens: int
    drafts: int
    accepted: int
    given: int


class Text(NamedTuple):
    """A sequence as it stands after a step. prompt: its tokens; most: tokens that may follow; tokens: the
    prompt's and those said; computed: positions that lie in pages (or in the second memory, where swapped);
    reused: tokens of the prompt that were found in the cache; preempted: how often it had to make room."""

    sequence: int
    request: str
    sample: int
    prompt: int
    most: int
    tokens: int
    computed: int
    reused: int
    preempted: int
    state: State
    pages: tuple[int, ...]


class Ended(NamedTuple):
    sequence: int
    request: str
    sample: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Step:
    """One step. at: seconds since the trace began; seconds: how long it took.

    texts: by sequence, those that are alive (of the waiting ones the first only) and those that this step
    ended. running, waiting: their numbers in their order; swapped ones wait too. idle: pages that nobody
    holds and that keep their content. out, back: pages moved to the second memory and from it. evicted:
    pages whose content was given up. reused: prompt tokens that were found in the cache.
    """

    n: int
    at: float
    seconds: float
    parts: tuple[Part, ...]
    texts: Mapping[int, Text]
    running: tuple[int, ...]
    waiting: tuple[int, ...]
    waiting_count: int
    idle: frozenset[int]
    preempted: tuple[int, ...] = ()
    copies: tuple[Copy, ...] = ()
    out: int = 0
    back: int = 0
    evicted: int = 0
    reused: int = 0
    ended: tuple[Ended, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens computed."""
        return sum(part.tokens for part in self.parts)

    @property
    def given(self) -> int:
        """Tokens said."""
        return sum(part.given for part in self.parts)

    @property
    def swapped(self) -> tuple[int, ...]:
        """Those that lie in the second memory."""
        return tuple(number for number in self.waiting if self.texts[number].state == "swapped")


class Cell(NamedTuple):
    """A page: the sequences that hold it, how many of its positions are filled."""

    owners: tuple[int, ...]
    filled: int
    state: Literal["free", "cached", "held", "shared"]


FREE = Cell((), 0, "free")


def cells(header: Header, step: Step) -> list[Cell]:
    """The block map: every page after a step."""
    size = header.page
    found = [FREE] * header.pages
    for page in step.idle:
        found[page] = Cell((), size, "cached")
    for number in step.running:
        text = step.texts[number]
        for index, page in enumerate(text.pages):
            owners = (*found[page].owners, number)
            filled = max(found[page].filled, min(size, max(0, text.computed - index * size)))
            found[page] = Cell(owners, filled, "shared" if len(owners) > 1 else "held")
    return found


class Recorder:
    """Keeps the last steps of an engine. One thread writes, any may read.

    header: of the engine that it watches, once there is one. most: steps kept.
    """

    def __init__(self, most: int = 1000) -> None:
        self.header: Header | None = None
        self._steps: deque[Step] = deque(maxlen=most)

    def __call__(self, step: Step) -> None:
        self._steps.append(step)

    @property
    def latest(self) -> Step | None:
        try:
            return self._steps[-1]
        except IndexError:
            return None

    def steps(self) -> list[Step]:
        """Those that are kept, the oldest first."""
        while True:
            try:
                return list(self._steps)
            except RuntimeError:  # one came while they were copied
                continue
