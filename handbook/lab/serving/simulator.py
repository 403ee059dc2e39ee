"""A server without a model: the engine's own scheduler decides each step, a formula says how long it takes.

So a minute of a loaded server takes a moment, and many settings can be compared on the same requests. How far
it can be trusted is a claim of its own (`handbook.lab.serving.fitting`). Deterministic, and without torch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import NamedTuple

from handbook.engine.pages import Pages
from handbook.engine.scheduler import Counts, Scheduler
from handbook.engine.work import Batch, Limits, Request
from handbook.lab.serving.streams import Job


class Cost(NamedTuple):
    """Seconds of a step: one share for the step itself (weights are read once), one for each token that is
    computed, one for each position of the cache that is read."""

    step: float
    token: float
    position: float

    def seconds(self, batch: Batch) -> float:
        tokens, positions = size_of(batch)
        return self.step + self.token * tokens + self.position * positions


def size_of(batch: Batch) -> tuple[int, int]:
    """Tokens that a batch computes, and positions that its sequences read."""
    return batch.tokens, sum(work.start + len(work.tokens) for work in batch.work)


STEPS = Cost(1.0, 0.0, 0.0)  # a clock that counts steps
GPU = Cost(0.010, 0.00005, 0.0000001)  # 10 ms a step, 20,000 tokens a second of prefill: a round example


class Moment(NamedTuple):
    """One step. running: sequences computed; waiting: in the queue. held: pages in tables; used: positions in
    them that hold something; sequences that share a page count it once each."""

    start: float
    seconds: float
    tokens: int
    running: int
    waiting: int
    held: int
    used: int


@dataclass(slots=True)
class Served:
    """A job, and when each of its tokens came."""

    job: Job
    times: list[float] = field(default_factory=list)

    @property
    def first(self) -> float:
        """Seconds from arrival to the first token."""
        return self.times[0] - self.job.arrival

    @property
    def gaps(self) -> list[float]:
        """Seconds between tokens; tokens of one step come together."""
        return [b - a for a, b in pairwise(self.times)]

    @property
    def pace(self) -> float:
        """Seconds per token after the first."""
        return (self.times[-1] - self.times[0]) / max(1, len(self.times) - 1)


@dataclass(frozen=True, slots=True)
class Story:
    """What became of a stream of jobs, in their order."""

    served: list[Served]
    moments: list[Moment]
    counts: Counts

    @property
    def seconds(self) -> float:
        """From the first arrival to the last token."""
        return max(s.times[-1] for s in self.served) - min(s.job.arrival for s in self.served)

    @property
    def rate(self) -> float:
        """Tokens given out per second."""
        return sum(len(s.times) for s in self.served) / self.seconds

    def firsts(self) -> list[float]:
        return [s.first for s in self.served]

    def gaps(self) -> list[float]:
        return [gap for s in self.served for gap in s.gaps]


class Guess(NamedTuple):
    """Speculation: so many drafts a step, each right with this probability, given those before it."""

    drafts: int
    acceptance: float


def simulate(
    jobs: Sequence[Job],
    limits: Limits,
    pages: Pages,
    cost: Cost,
    guess: Guess | None = None,
    begin: float = 0.0,
    seed: int = 0,
) -> Story:
    """Serve jobs, in the order of their arrival, on a server that is free from `begin` on."""
    scheduler, random = Scheduler(pages, limits), Random(seed)
    served = [Served(job) for job in jobs]
    moments: list[Moment] = []
    now, come = begin, 0
    while come < len(jobs) or len(scheduler):
        if not len(scheduler):
            now = max(now, jobs[come].arrival)
        while come < len(jobs) and jobs[come].arrival <= now:
            scheduler.add(request_of(jobs[come], str(come)), now)
            come += 1
        if guess is not None:
            propose(scheduler, guess)
        batch = scheduler.step(now)
        took = cost.seconds(batch)
        moments.append(moment(scheduler, batch, now, took))
        now += took
        for event in scheduler.done(batch, drawn(batch, guess, random)):
            served[int(event.request)].times += [now] * len(event.tokens)
    return Story(served, moments, scheduler.counts)


def request_of(job: Job, id: str) -> Request:
    return Request(id=id, prompt=job.prompt, max_tokens=job.output, tenant=job.tenant)


def propose(scheduler: Scheduler, guess: Guess) -> None:
    """Drafts for those who decode; what they say does not matter here."""
    for sequence in scheduler.running:
        if len(sequence.tokens) - sequence.table.length == 1:
            scheduler.propose(sequence.id, [0] * guess.drafts)


def drawn(batch: Batch, guess: Guess | None, random: Random) -> dict[int, list[int]]:
    """Tokens for all works that want some: with drafts, those that are right and one more."""
    found: dict[int, list[int]] = {}
    for work in batch.work:
        if work.wanted:
            right = 0
            while guess is not None and right < work.drafts and random.random() < guess.acceptance:
                right += 1
            found[work.sequence] = [0] * (right + 1)
    return found


def moment(scheduler: Scheduler, batch: Batch, now: float, took: float) -> Moment:
    tables = [s.table for s in scheduler.running]
    end = {work.sequence: work.start + len(work.tokens) for work in batch.work}
    used = sum(end.get(s.id, s.table.length) for s in scheduler.running)
    held = sum(len(table.pages) for table in tables)
    return Moment(now, took, batch.tokens, len(batch.work), len(scheduler.queue), held, used)


def waves(jobs: Sequence[Job], size: int) -> list[Sequence[Job]]:
    """The batches of a static server: as they come, `size` at a time."""
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


def to_the_longest(wave: Sequence[Job]) -> list[Job]:
    """A static batch: who has finished stays in it, and is computed on, until the longest has."""
    longest = max(job.output for job in wave)
    return [job._replace(output=longest) for job in wave]


def simulate_static(jobs: Sequence[Job], size: int, limits: Limits, pages: Pages, cost: Cost) -> Story:
    """The same jobs in static batches: each waits until all of it have come, and until the one before is
    done; of a sequence that is computed on, only its own tokens count."""
    served: list[Served] = []
    moments: list[Moment] = []
    counts, now = Counts(), 0.0
    for wave in waves(jobs, size):
        now = max(now, wave[-1].arrival)
        together = [job._replace(arrival=now) for job in to_the_longest(wave)]
        story = simulate(together, limits, pages, cost, begin=now)
        now = max(s.times[-1] for s in story.served)
        served += [Served(job, s.times[: job.output]) for job, s in zip(wave, story.served, strict=True)]
        moments += story.moments
        counts.steps += story.counts.steps
        counts.computed += story.counts.computed
    return Story(served, moments, counts)


def share_below(values: Iterable[float], share: float) -> float:
    """The value that `share` of the values do not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
