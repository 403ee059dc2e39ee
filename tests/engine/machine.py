"""A machine without a model: it keeps what was written where, as an executor does, and says a next token that
hangs on the whole text before it. Whoever reads a wrong page says another token."""

import random
from collections import defaultdict

from handbook.engine.pages import Pages
from handbook.engine.scheduler import Scheduler
from handbook.engine.work import Batch, Event, Limits, Request

VOCABULARY = 5  # few, so that texts share beginnings, and drafts are often right
STOP = 0


def next_token(text: tuple[int, ...], sample: int = 0, base: int = 0) -> int:
    """What comes after `text`; base: length of the prompt. Samples differ in their first token."""
    first = sample if len(text) == base else 0
    return random.Random(hash((text, first))).randrange(VOCABULARY)


def alone(request: Request, sample: int) -> tuple[tuple[int, ...], str]:
    """What a request says by itself, and why it ends."""
    text, base = tuple(request.prompt), len(request.prompt)
    while True:
        token = next_token(text, sample, base)
        if token in request.stops:
            return text[base:], "stop"
        text += (token,)
        if len(text) - base == request.max_tokens:
            return text[base:], "length"


class Machine:
    """Runs a scheduler's batches, checks that they may be run, and collects what sequences give out."""

    def __init__(self, pages: int, size: int, limits: Limits, share: bool = True, seed: int = 0) -> None:
        self.pages = Pages(pages, size, share)
        self.scheduler = Scheduler(self.pages, limits)
        self.limits, self.random = limits, random.Random(seed)
        self.memory: list[list[object]] = [[None] * size for _ in range(pages)]
        self.other: list[list[object]] = [[None] * size for _ in range(limits.swap)]
        self.said: dict[tuple[str, int], list[int]] = defaultdict(list)
        self.reasons: dict[tuple[str, int], str] = {}
        self.requests: dict[str, Request] = {}
        self.now = 0.0

    def add(self, request: Request) -> None:
        self.scheduler.add(request, self.now)
        self.requests[request.id] = request

    def step(self) -> Batch:
        scheduler = self.scheduler
        for sequence in list(scheduler.running):
            if self.random.random() < 0.3:
                right = next_token(tuple(sequence.tokens))
                scheduler.propose(sequence.id, [right, *self.random.choices(range(VOCABULARY), k=2)])
        batch = scheduler.step(self.now)
        self.collect(batch.ended)
        assert batch.tokens <= self.limits.tokens, "the budget was passed"
        assert len(batch.work) <= self.limits.running, "too many run"
        assert len({work.sequence for work in batch.work}) == len(batch.work), "a sequence is there twice"
        sampled = self.run(batch)
        self.collect(scheduler.done(batch, sampled))
        self.now += 1.0
        return batch

    def collect(self, events: list[Event] | tuple[Event, ...]) -> None:
        for event in events:
            key = event.request, event.sample
            assert key not in self.reasons, "it ended already"
            self.said[key] += event.tokens
            if event.reason is not None:
                self.reasons[key] = event.reason

    def run(self, batch: Batch) -> dict[int, list[int]]:
        for source, target in batch.out:
            for a, b in zip(source, target, strict=True):
                self.other[b] = self.memory[a].copy()
        for source, target in batch.back:
            for a, b in zip(source, target, strict=True):
                self.memory[b] = self.other[a].copy()
        for source, target in batch.copies:
            self.memory[target] = self.memory[source].copy()
        sampled = {}
        size = self.pages.size
        for work in batch.work:
            for position, token in enumerate(work.tokens, start=work.start):
                page = work.pages[position // size]
                assert self.pages.holders(page) == 1, "a shared page is written"
                self.memory[page][position % size] = token
        for work in batch.work:
            end = work.start + len(work.tokens)
            text = tuple(self.memory[work.pages[n // size]][n % size] for n in range(end))
            sequence = self.scheduler.sequence(work.sequence)
            assert sequence is not None
            base = len(sequence.request.prompt)
            if work.drafts:
                drawn, at = [], end - work.drafts
                while True:
                    drawn.append(next_token(text[:at], sequence.sample, base))
                    if at == end or text[at] != drawn[-1]:
                        break
                    at += 1
                sampled[work.sequence] = drawn
            elif work.wanted > 1:
                sampled[work.sequence] = [next_token(text, sample, base) for sample in range(work.wanted)]
            elif work.wanted:
                sampled[work.sequence] = [next_token(text, sequence.sample, base)]
        return sampled

    def check(self) -> None:
        """No page is lost, none is held by accident."""
        scheduler = self.scheduler
        assert {id(s) for s in scheduler.running} | {id(s) for s in scheduler.queue} == {
            id(s) for s in scheduler._all.values()
        }
        self.pages.check([s.table for s in scheduler._all.values()])
        assert scheduler._places == sum(s.places for s in scheduler.running)
        if scheduler.away is not None:
            scheduler.away.check([s.away for s in scheduler._all.values() if s.away is not None])

    def drain(self, most: int) -> int:
        """Steps until all have ended. Raises AssertionError when they don't within `most`."""
        for taken in range(most):
            if not len(self.scheduler):
                return taken
            self.step()
        raise AssertionError(f"{len(self.scheduler)} sequences starve after {most} steps")

    def compare(self) -> None:
        """Every continuation is what the request says alone, or the beginning of it where it was cut off."""
        for (name, sample), said in self.said.items():
            expected, reason = alone(self.requests[name], sample)
            ended = self.reasons.get((name, sample))
            if ended in ("stop", "length"):
                assert (tuple(said), ended) == (expected, reason)
            else:
                assert tuple(said) == expected[: len(said)]
