"""The nouns between whoever asks, the scheduler and whatever computes: a request, a batch, what came of it.

Plain records without torch. Times are seconds on any clock that only goes forward; the scheduler never reads
one itself.

Book: inference-ops/llm-serving-optimization
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from handbook.engine.pages import Copy

Reason = Literal["stop", "length", "cancelled", "deadline", "error"]


class QueueFull(Exception):
    """The queue is full: come back later. Nothing was taken in."""


class CannotServe(ValueError):
    """A request that could never be run, whatever else is; the message names every reason."""


class NoAdapter(CannotServe):
    """A request for an adapter that is not, or no longer, loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """prompt: token ids. samples: continuations of the same prompt. priority: smaller is sooner. tenant: who
    shares fairly with others. deadline: when to give up. stops: tokens that end it, and are not given out.
    salt: requests of another salt share no pages. adapter: the engine's number of the one that is added to
    the model for it, 0 for none; requests of another adapter share no pages either."""

    id: str
    prompt: Sequence[int]
    max_tokens: int
    samples: int = 1
    priority: int = 0
    tenant: str = ""
    deadline: float | None = None
    stops: frozenset[int] = frozenset()
    salt: bytes = b""
    adapter: int = 0

    @property
    def apart(self) -> bytes:
        """What its pages' names begin with: keys and values of one text differ from adapter to adapter."""
        return self.salt + self.adapter.to_bytes(8, "little") if self.adapter else self.salt


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the scheduler keeps to.

    tokens: computed in one step at most. running: sequences in a step at most. queue: sequences waiting at
    most. chunked: a prompt may be computed in pieces; chunk: of at most so many tokens, 0 for the budget.
    watermark: share of the pages that admission leaves free, so that those who run can grow. swap: pages of a
    second memory that preempted sequences move to; 0 computes them anew. patience: who came so many seconds
    earlier stands one step of priority higher; 0 lets priority alone decide.
    """

    tokens: int = 512
    running: int = 256
    queue: int = 10_000
    chunked: bool = True
    chunk: int = 0
    watermark: float = 0.01
    swap: int = 0
    patience: float = 10.0

    def __post_init__(self) -> None:
        faults = [f"{n} is {v}" for n, v in (("tokens", self.tokens), ("running", self.running)) if v < 1]
        faults += [f"{n} is {v}" for n, v in (("queue", self.queue), ("swap", self.swap)) if v < 0]
        if self.running > self.tokens:
            faults.append(
                f"running ({self.running}) passes tokens ({self.tokens}): each needs one token a step"
            )
        if not 0 <= self.watermark < 1:
            faults.append(f"watermark is {self.watermark}, not a share below 1")
        if self.chunk < 0 or self.patience < 0:
            faults.append(f"chunk ({self.chunk}) and patience ({self.patience}) are not negative")
        if faults:
            raise ValueError("; ".join(faults))


class Work(NamedTuple):
    """One sequence's part of a batch: compute `tokens`, which stand at positions `start` and on, in `pages`.

    Of tokens, the last `drafts` are guesses. wanted: how many tokens to draw after it, 0 for a prompt that
    isn't finished; with drafts one more than are accepted, at least one. adapter: as of `Request`.
    """

    sequence: int
    start: int
    tokens: Sequence[int]
    pages: Sequence[int]
    drafts: int
    wanted: int
    adapter: int = 0


def rows_wanted(work: Work) -> int:
    """Rows of logits that a work needs."""
    return work.drafts + 1 if work.wanted else 0


class Move(NamedTuple):
    """The content of pages `source` goes to pages `target` of the other memory, in order."""

    source: tuple[int, ...]
    target: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """One step: first all moves out, then all moves in, then all copies, then the work.

    preempted: sequences that had to make room. ended: sequences that ended without being computed.
    """

    work: tuple[Work, ...]
    out: tuple[Move, ...] = ()
    back: tuple[Move, ...] = ()
    copies: tuple[Copy, ...] = ()
    preempted: tuple[int, ...] = ()
    ended: "tuple[Event, ...]" = ()

    @property
    def tokens(self) -> int:
        """Tokens that are computed."""
        return sum(len(work.tokens) for work in self.work)


class Event(NamedTuple):
    """What a sequence gives out after a step: tokens, and why it ended if it did.

    request: id. sample: which of its continuations, from 0. sequence: the scheduler's own number for it.
    """

    request: str
    sample: int
    sequence: int
    tokens: tuple[int, ...]
    reason: Reason | None = None
