"""Makes a `Step` of what a scheduler just did, for whoever watches.

Book: inference-ops/llm-serving-optimization
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from handbook.engine.scheduler import Running, Scheduler
from handbook.engine.trace import Ended, Kind, Part, State, Step, Text
from handbook.engine.work import Batch, Event

log = logging.getLogger(__name__)
WAITING_SHOWN = 64  # of those that wait, so many are told of one by one


class Observer:
    """Makes a Step of what a scheduler does: `scheduled` once the batch stands, `done` at the step's end.

    A watcher that raises is let go, with a line in the log; the engine goes on.
    """

    def __init__(
        self, scheduler: Scheduler, watch: Callable[[Step], None], clock: Callable[[], float]
    ) -> None:
        self.scheduler, self.clock = scheduler, clock
        self._watch: Callable[[Step], None] | None = watch
        self._scheduled: Batch | None = None
        self._n = 0
        self._began: float | None = None
        self._known: dict[int, Running] = {}  # alive at the last step's end, or scheduled in this one
        self._silent: set[int] = set()  # ended in the last step without an event: by a stop string
        self._evicted, self._reused = scheduler.pages.evicted, scheduler.counts.reused
        self._idle = frozenset[int]()

    def scheduled(self, batch: Batch) -> None:
        """Remember who computes: some of them may have ended by the step's end."""
        self._scheduled = batch
        for work in batch.work:
            sequence = self.scheduler.sequence(work.sequence)
            assert sequence is not None
            self._known[work.sequence] = sequence

    def done(
        self, batch: Batch, sampled: Mapping[int, Sequence[int]], events: Sequence[Event], began: float
    ) -> None:
        """The step is over, its pieces are delivered. began: when, on the clock."""
        if self._watch is None or (batch.work and self._scheduled is not batch):  # came amid the step
            return
        step = self._step(batch, sampled, events, began)
        try:
            self._watch(step)
        except Exception:
            log.exception("who watched the engine failed, and is told nothing more")
            self._watch = None

    def _step(
        self, batch: Batch, sampled: Mapping[int, Sequence[int]], events: Sequence[Event], began: float
    ) -> Step:
        scheduler, known = self.scheduler, self._known
        self._n += 1
        self._began = began if self._began is None else self._began
        parts = _parts(batch, known, sampled, events)
        ended = [Ended(e.sequence, e.request, e.sample, e.reason) for e in events if e.reason is not None]
        ended = [each for each in ended if each.sequence not in self._silent]
        told = {each.sequence for each in ended}
        self._silent = {n for n in known if n not in told and scheduler.sequence(n) is None}
        ended += [Ended(n, known[n].request.id, known[n].sample, "stop") for n in self._silent]
        queue = scheduler.queue
        waiting = sorted(islice(queue, WAITING_SHOWN), key=lambda s: (queue.rank(s), s.arrival))
        texts = {s.id: text_of(s, "running") for s in scheduler.running}
        running = tuple(texts)
        texts |= {s.id: text_of(s, "waiting" if s.away is None else "swapped") for s in waiting}
        texts |= {e.sequence: text_of(known[e.sequence], "ended") for e in ended if e.sequence in known}
        if (idle := scheduler.pages.idle) != self._idle:  # steps without a change share one set
            self._idle = idle
        evicted, reused = scheduler.pages.evicted, scheduler.counts.reused
        step = Step(
            n=self._n,
            at=round(began - self._began, 6),
            seconds=round(max(0.0, self.clock() - began), 6),
            parts=parts,
            texts=texts,
            running=running,
            waiting=tuple(s.id for s in waiting),
            waiting_count=len(queue),
            idle=self._idle,
            preempted=batch.preempted,
            copies=batch.copies,
            out=sum(len(move.source) for move in batch.out),
            back=sum(len(move.source) for move in batch.back),
            evicted=evicted - self._evicted,
            reused=reused - self._reused,
            ended=tuple(ended),
        )
        self._evicted, self._reused = evicted, reused
        self._known = {s.id: s for s in (*scheduler.running, *waiting)}
        return step


def text_of(sequence: Running, state: State) -> Text:
    """A sequence as it stands."""
    request, table = sequence.request, sequence.table
    return Text(
        sequence.id,
        request.id,
        sequence.sample,
        len(request.prompt),
        request.max_tokens,
        len(sequence.tokens),
        table.length if sequence.away is None else sequence.away.length,
        sequence.reused,
        sequence.preempted,
        state,
        tuple(table.pages),
    )


def _parts(
    batch: Batch, known: Mapping[int, Running], sampled: Mapping[int, Sequence[int]], events: Sequence[Event]
) -> tuple[Part, ...]:
    """Who computed what. What further samples of a prompt begin with was said in the prompt's own part."""
    given = {work.sequence: 0 for work in batch.work}
    first = {known[number].request.id: number for number in given if not known[number].sample}
    for event in events:
        number = event.sequence if event.sequence in given else first.get(event.request)
        if number is not None:
            given[number] += len(event.tokens)
    parts = []
    for number, start, tokens, _, drafts, *_ in batch.work:
        count = len(tokens)
        decodes = count - drafts == 1 and start >= len(known[number].request.prompt)
        accepted = len(sampled[number]) - 1 if drafts else 0
        kind: Kind = "decode" if decodes else "prefill"
        parts.append(Part(number, kind, start, count, drafts, accepted, given[number]))
    return tuple(parts)
