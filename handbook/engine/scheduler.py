"""The scheduler: before every step of the model it decides anew which sequences compute which tokens.

Iteration-level scheduling (Yu et al. 2022, Orca, section 3.1) with prompts computed in pieces beside the
decodes of others (Agrawal et al. 2024, Sarathi-Serve, arXiv:2403.02310, section 4): every sequence simply has
tokens that are not computed yet, one while it decodes, many while its prompt is read, and each step shares a
budget of tokens among them. Pages are given as sequences grow; when none is left, the last in order makes
room and is computed again, or moved back, later.

Pure logic: no torch, no clock, no threads. The same scheduler drives the engine and the simulator.

    batch = scheduler.step(now)
    events = scheduler.done(batch, sampled)     # sequence -> tokens drawn

Book: inference-ops/llm-serving-optimization
"""

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal

from handbook.engine.pages import Copy, OutOfPages, Pages, Table
from handbook.engine.queue import FairQueue
from handbook.engine.work import Batch, CannotServe, Event, Limits, Move, QueueFull, Reason, Request, Work


class Running:
    """One continuation of a request, from its arrival to its end."""

    __slots__ = (
        "arrival", "away", "drafts", "id", "names", "order", "places", "preempted", "priority", "request",
        "reused", "sample", "since", "table", "tenant", "tokens",
    )  # fmt: skip

    def __init__(self, id: int, request: Request, arrival: int, since: float, sample: int = 0) -> None:
        self.id, self.request, self.sample = id, request, sample
        self.priority, self.tenant = request.priority, request.tenant
        self.arrival, self.since = arrival, since
        self.order: tuple[float, int, int] = (request.priority, arrival, id)  # among those that run
        self.tokens: list[int] = list(request.prompt)
        self.table = Table(request.apart)
        self.names: list[bytes] | None = None  # of the pages that its tokens fill, while it waits
        self.places = request.samples if sample == 0 else 1  # sequences that it is, or will become
        self.drafts: list[int] = []
        self.away: Table | None = None  # its table in the other memory
        self.preempted = 0
        self.reused = 0  # tokens of its prompt that were found in the cache

    @property
    def given(self) -> int:
        """Tokens given out so far."""
        return len(self.tokens) - len(self.request.prompt)


@dataclass(slots=True)
class Counts:
    """What has happened so far, in sequences, tokens and pages."""

    steps: int = 0
    computed: int = 0
    reused: int = 0  # prompt tokens found in the cache
    preempted: int = 0
    swapped: int = 0
    drafted: int = 0
    accepted: int = 0
    ended: int = 0


class Scheduler:
    """Requests and pages in, batches out. One thread at a time; `done` between any two steps."""

    def __init__(self, pages: Pages, limits: Limits | None = None) -> None:
        self.pages, self.limits = pages, Limits() if limits is None else limits
        self.away = Pages(self.limits.swap, pages.size, share=False) if self.limits.swap else None
        self.queue: FairQueue[Running] = FairQueue(self.limits.patience)
        self.counts = Counts()
        self.running: list[Running] = []  # by priority, then arrival
        self._all: dict[int, Running] = {}
        self._of: dict[str, list[Running]] = {}
        self._number = 0
        self._floor = int(self.limits.watermark * pages.count)
        self._places = 0  # taken by those who run
        self._ended: list[Event] = []
        self._deadlines: list[tuple[float, int, str]] = []  # a heap

    def __len__(self) -> int:
        """Sequences that have not ended."""
        return len(self._all)

    def add(self, request: Request, now: float = 0.0) -> int:
        """Take a request in; returns the number of its first sequence.

        Raises CannotServe for one that could never run, QueueFull when too many wait.
        """
        if faults := self._faults(request):
            raise CannotServe("; ".join(faults))
        if len(self.queue) >= self.limits.queue:
            raise QueueFull(f"{len(self.queue)} sequences wait already")
        sequence = self._new(request, self._number, now)
        self._of[request.id] = [sequence]
        if request.deadline is not None:
            heappush(self._deadlines, (request.deadline, sequence.id, request.id))
        self.queue.push(sequence)
        return sequence.id

    def _faults(self, request: Request) -> list[str]:
        size, room = len(request.prompt), self.pages.count * self.pages.size
        faults = []
        if not size or request.max_tokens < 1 or request.samples < 1:
            faults.append(
                "a request needs a prompt, a token to draw and a sample, got "
                f"{size}, {request.max_tokens} and {request.samples}"
            )
        if size + request.max_tokens > room:
            faults.append(f"{size} + {request.max_tokens} tokens don't fit into a cache of {room}")
        if not self.limits.chunked and size + request.max_tokens > self.limits.tokens:
            faults.append(
                f"{size} + {request.max_tokens} tokens pass the budget of {self.limits.tokens} a step, and "
                "chunked prefill is off"
            )
        if request.samples > self.limits.running:
            faults.append(f"{request.samples} samples, and {self.limits.running} sequences run at most")
        if request.id in self._of:
            faults.append(f"there is a request {request.id!r} already")
        return faults

    def _new(self, request: Request, arrival: int, now: float, sample: int = 0) -> Running:
        sequence = Running(self._number, request, arrival, now, sample)
        self._number += 1
        self._all[sequence.id] = sequence
        self.queue.enter(sequence.tenant)
        return sequence

    def cancel(self, request: str, reason: Reason = "cancelled") -> bool:
        """End all sequences of a request, whatever they are doing, also between `step` and `done`. Their
        pages are free at once; the events come with the next batch. False where there is no such request."""
        sequences = tuple(self._of.get(request, ()))
        for sequence in sequences:
            self._end(sequence)
            samples = range(sequence.sample, sequence.sample + sequence.places)  # that it would have become
            self._ended += [Event(request, sample, sequence.id, (), reason) for sample in samples]
        return bool(sequences)

    def finish(self, sequence: int) -> None:
        """End one continuation, without an event: whoever calls knows why."""
        self._end(self._all[sequence])

    def lives(self, request: str) -> bool:
        """Whether any continuation of a request goes on."""
        return request in self._of

    def propose(self, sequence: int, drafts: Sequence[int]) -> None:
        """Guess what a sequence says next; the next step verifies as many as the budget has room for."""
        self._all[sequence].drafts = list(drafts)

    def sequence(self, number: int) -> Running | None:
        """The sequence of that number, None when it has ended."""
        return self._all.get(number)

    def step(self, now: float = 0.0) -> Batch:
        """Decide what the next step computes, and take the pages that it needs."""
        while self._deadlines and self._deadlines[0][0] <= now:
            self._give_up(*heappop(self._deadlines))
        work: list[Work] = []
        copies: list[Copy] = []
        out: list[Move] = []
        preempted: list[int] = []
        left = self._run(work, copies, out, preempted)
        back = [] if preempted else self._admit(work, left)
        ended, self._ended = tuple(self._ended), []
        self.counts.steps += bool(work)
        return Batch(tuple(work), tuple(out), tuple(back), tuple(copies), tuple(preempted), ended)

    def _run(self, work: list[Work], copies: list[Copy], out: list[Move], preempted: list[int]) -> int:
        """Work for those who run, in their order. Returns what is left of the budget."""
        left, served, pages, running = self.limits.tokens, self.queue.served, self.pages, self.running
        decodes = sum(len(s.tokens) - s.table.length == 1 for s in running)  # each gets its one token
        index = 0
        while index < len(running):
            sequence = running[index]
            table, tokens = sequence.table, sequence.tokens
            start = table.length
            pending = len(tokens) - start
            index += 1
            if pending == 1:
                decodes -= 1
                count = 1
                if sequence.drafts and sequence.places == 1:
                    count += max(
                        0, min(len(sequence.drafts), left - decodes - 1, self._most_drafts(sequence))
                    )
            else:
                count = self._piece(pending, left - decodes)
                if not count:
                    continue
            if not table.own or start + count > len(table.pages) * pages.size:
                while (copy := self._reserve(sequence, start + count)) is False:
                    victim = running[-1]
                    decodes -= victim is not sequence and len(victim.tokens) - victim.table.length == 1
                    self._preempt(victim, out)
                    preempted.append(victim.id)
                    if victim is sequence:
                        break
                if copy is False:
                    break  # it was the last
                if copy is not None:
                    copies.append(copy)
            work.append(self._work(sequence, start, count, pending))
            left -= count
            served[sequence.tenant] += count
        return left

    def _reserve(self, sequence: Running, length: int) -> Copy | Literal[False] | None:
        """Pages for `length` positions; False when there are not enough."""
        try:
            return self.pages.reserve(sequence.table, length)
        except OutOfPages:
            return False

    def _most_drafts(self, sequence: Running) -> int:
        """Drafts that can still be given out, beside the token that comes anyway."""
        return sequence.request.max_tokens - sequence.given - 1

    def _piece(self, pending: int, left: int) -> int:
        """How much of a prompt is computed now."""
        if not self.limits.chunked:
            return pending if pending <= left else 0
        return max(0, min(pending, left, self.limits.chunk or left))

    def _work(self, sequence: Running, start: int, count: int, pending: int) -> Work:
        tokens, drafts = sequence.tokens, 0
        if count == 1:
            part: Sequence[int] = (tokens[start],)
        elif pending == 1:
            drafts = count - 1
            part = (tokens[start], *sequence.drafts[:drafts])
        else:
            part = tokens[start : start + count]
        wanted = 0
        if count >= pending:
            wanted = sequence.places + drafts
        return Work(sequence.id, start, part, sequence.table.pages, drafts, wanted, sequence.request.adapter)

    def _admit(self, work: list[Work], left: int) -> list[Move]:
        """Let those who wait in, in their turn, as long as there is budget, place and pages. Who doesn't fit
        holds up all behind it: else a large one would wait for ever."""
        back: list[Move] = []
        while left > 0 and (sequence := self.queue.head()) is not None:
            if self._places + sequence.places > self.limits.running:
                break
            free = self.pages.available - (self._floor if self.running else 0)
            if sequence.away is not None:
                if not self._return(sequence, back, free):
                    break
            elif (piece := self._start(sequence, left, free)) is not None:
                work.append(piece)
                left -= len(piece.tokens)
                self.queue.served[sequence.tenant] += len(piece.tokens)
            else:
                break
            self.queue.remove(sequence)
            self._place(sequence, (self.queue.rank(sequence), sequence.arrival, sequence.id))
        return back

    def _place(self, sequence: Running, order: tuple[float, int, int]) -> None:
        """Among those who run."""
        sequence.order = order
        insort(self.running, sequence, key=lambda s: s.order)
        self._places += sequence.places

    def _start(self, sequence: Running, left: int, free: int) -> Work | None:
        """Find the longest cached beginning, take pages for all its tokens, and begin. None if there is no
        room."""
        pages, tokens, salt = self.pages, sequence.tokens, sequence.request.apart
        if sequence.names is None:
            sequence.names = pages.names(tokens, salt)
        before = pages.available
        table = pages.adopt(sequence.names, salt)
        pending = len(tokens) - table.length
        count = self._piece(pending, left)
        if not count or pages.needed(table, len(tokens)) > free - (before - pages.available):
            pages.release(table)
            return None
        pages.reserve(table, len(tokens))
        sequence.table, sequence.names = table, None
        if not sequence.preempted:
            sequence.reused = table.length
            self.counts.reused += table.length
        return self._work(sequence, table.length, count, pending)

    def _return(self, sequence: Running, back: list[Move], free: int) -> bool:
        """Move a sequence back from the other memory; it goes on in the next step. False if there is no
        room."""
        assert sequence.away is not None
        assert self.away is not None
        table, away = Table(sequence.request.apart), sequence.away
        if self.pages.needed(table, len(sequence.tokens)) > free:
            return False
        self.pages.reserve(table, len(sequence.tokens))
        back.append(Move(tuple(away.pages), tuple(table.pages[: len(away.pages)])))
        self.pages.commit(table, sequence.tokens, away.length)
        self.away.release(away)
        sequence.table, sequence.away = table, None
        return True

    def _preempt(self, victim: Running, out: list[Move]) -> None:
        """Take a running sequence's pages, keep what it has said, and put it at the head of its line."""
        self.running.remove(victim)
        self._places -= victim.places
        table, there = victim.table, Table()
        self.pages.trim(table)
        if self.away is not None and table.length and len(table.pages) <= self.away.available:
            self.away.reserve(there, table.length)
            there.length = table.length
            out.append(Move(tuple(table.pages), tuple(there.pages)))
            victim.away = there
            self.counts.swapped += 1
        self.pages.release(table)
        victim.drafts = []
        victim.preempted += 1
        self.counts.preempted += 1
        self.queue.push(victim, first=True)

    def done(self, batch: Batch, sampled: Mapping[int, Sequence[int]]) -> list[Event]:
        """What the batch brought: sampled[sequence] holds the tokens drawn for each work that wanted any.

        For several samples of one prompt, one for each; with drafts, the accepted ones and one more. Returns
        what is to be given out. Sequences that were cancelled meanwhile are passed over. Raises ValueError
        for tokens that were not wanted, or are missing.
        """
        events: list[Event] = []
        pages, counts = self.pages, self.counts
        for work in batch.work:
            sequence = self._all.get(work.sequence)
            counts.computed += len(work.tokens)
            if sequence is None:
                continue
            drawn = sampled.get(work.sequence, ())
            if not (1 if work.drafts else work.wanted) <= len(drawn) <= work.wanted:
                raise ValueError(f"sequence {work.sequence} wants {work.wanted} tokens, got {len(drawn)}")
            end = work.start + len(work.tokens)
            if not work.wanted:
                pages.commit(sequence.table, sequence.tokens, end)
                continue
            if work.drafts:
                counts.drafted += work.drafts
                counts.accepted += len(drawn) - 1
                sequence.drafts = []
            elif work.wanted > 1:
                pages.commit(sequence.table, sequence.tokens, end)
                self._fan_out(sequence, drawn, events)
                continue
            self._give(sequence, drawn, end, events)
        return events

    def _fan_out(self, first: Running, drawn: Sequence[int], events: list[Event]) -> None:
        """One sequence for each further sample, over the same pages."""
        length, first.places = first.table.length, 1
        self._places -= len(drawn) - 1  # each twin brings its own
        twins = [
            self._new(first.request, first.arrival, first.since, sample) for sample in range(1, len(drawn))
        ]
        for twin in twins:
            twin.table = self.pages.fork(first.table)
            self._of[first.request.id].append(twin)
            self._place(twin, (first.order[0], first.arrival, twin.id))
        for sequence, token in zip((first, *twins), drawn, strict=True):
            self._give(sequence, (token,), length, events)

    def _give(self, sequence: Running, drawn: Sequence[int], end: int, events: list[Event]) -> None:
        """Add drawn tokens to a sequence, up to where it ends."""
        request, tokens, table = sequence.request, sequence.tokens, sequence.table
        reason: Reason | None = None
        before, last = len(tokens), len(request.prompt) + request.max_tokens
        for token in drawn:
            if token in request.stops:
                reason = "stop"
                break
            tokens.append(token)
            if len(tokens) == last:
                reason = "length"
                break
        # what was computed for drafts that were not accepted is written over
        self.pages.commit(table, tokens, min(end, len(tokens) - (reason is None)))
        if reason is not None:
            self._end(sequence)
        elif len(table.pages) * self.pages.size - table.length >= self.pages.size:
            self.pages.trim(table)  # taken for drafts
        events.append(Event(request.id, sequence.sample, sequence.id, tuple(tokens[before:]), reason))

    def _end(self, sequence: Running) -> None:
        del self._all[sequence.id]
        siblings = self._of[sequence.request.id]
        siblings.remove(sequence)
        if not siblings:
            del self._of[sequence.request.id]
        if sequence.away is not None:
            assert self.away is not None
            self.away.release(sequence.away)
        if sequence in self.running:
            self.running.remove(sequence)
            self._places -= sequence.places
        else:
            self.queue.remove(sequence)
        self.pages.release(sequence.table)
        self.queue.leave(sequence.tenant)
        self.counts.ended += 1

    def _give_up(self, deadline: float, sequence: int, request: str) -> None:
        if any(s.id == sequence or s.request.deadline == deadline for s in self._of.get(request, ())):
            self.cancel(request, "deadline")
