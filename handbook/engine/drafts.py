"""Who guesses ahead: a seam between the engine, which lets the model verify, and whoever makes drafts.

A drafter gets all sequences that want drafts at once, so that one that computes can do so for all in one
call. It may keep something of each sequence, under the scheduler's number for it; a sequence's tokens only
ever grow, also while it is preempted, so what was kept stays true.

Book: inference-ops/llm-serving-optimization
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from handbook.engine.asked import Asked
from handbook.engine.constrained import Constraint
from handbook.engine.scheduler import Scheduler
from handbook.engine.speculative import Pace, PromptLookup
from handbook.engine.work import Batch
from handbook.records import Sampling

Speculation = Literal["off", "lookup", "draft"]


class Wanted(NamedTuple):
    """A sequence that wants drafts: its tokens so far, of which the first `prompt` are the prompt's; at most
    `most` of them; and what draws its tokens, since a drafter with probabilities draws best with the same
    random numbers. salt: sequences of another one share nothing."""

    sequence: int
    tokens: Sequence[int]
    most: int
    sampling: Sampling
    seed: int = 0
    sample: int = 0
    prompt: int = 0
    salt: bytes = b""


class Drafter(Protocol):
    """Makes drafts.

    steady: the last call's time is what further drafts take; not so where a prompt had to be read before.
    """

    steady: bool

    def guess(self, wanted: Sequence[Wanted]) -> Mapping[int, Sequence[int]]:
        """Drafts by sequence, `most` or fewer; a sequence without an entry has none."""
        ...

    def forget(self, sequence: int) -> None:
        """A sequence has ended; it may be one that was never seen."""
        ...


class Lookup:
    """Guesses from each text itself; see `PromptLookup`."""

    steady = True

    def __init__(self) -> None:
        self._of: dict[int, PromptLookup] = {}

    def guess(self, wanted: Sequence[Wanted]) -> dict[int, list[int]]:
        found = {}
        for one in wanted:
            lookup = self._of.setdefault(one.sequence, PromptLookup())
            if drafts := lookup.guess(one.tokens, one.most):
                found[one.sequence] = drafts
        return found

    def forget(self, sequence: int) -> None:
        self._of.pop(sequence, None)


class Ahead:
    """Asks a drafter for as many drafts as are worth their time, and learns from each step what that is.

    clock: seconds.
    """

    def __init__(self, drafter: Drafter, clock: Callable[[], float]) -> None:
        self.drafter, self.clock = drafter, clock
        self.pace = Pace()

    def guess(self, scheduler: Scheduler, asking: Mapping[str, Asked]) -> None:
        """Propose drafts to those who decode. asking: the requests that are being answered, by their ids."""
        wanted, lengths = [], {}
        keeping: dict[int, Constraint] = {}
        cost = self.pace.cost(len(scheduler.running))
        for sequence in scheduler.running:
            request, asked = sequence.request, asking[sequence.request.id]
            speaking = asked.speaking.get(sequence.sample)
            if speaking is None or len(sequence.tokens) - sequence.table.length != 1:
                continue
            length, left = speaking.length, request.max_tokens - sequence.given - 1
            kept = asked.kept(sequence.sample)
            if kept is not None and (sure := kept.forced(min(length.most, left))):
                scheduler.propose(sequence.id, sure)
                continue
            if kept is not None:
                keeping[sequence.id] = kept
            lengths[sequence.id], length.cost = length, cost
            if most := min(length.next, left):
                draws = asked.sampling, asked.seed, sequence.sample, asked.told.prompt
                wanted.append(Wanted(sequence.id, sequence.tokens, most, *draws, request.apart))
        found = self._timed(wanted) if wanted else {}
        for number, length in lengths.items():
            drafts = found.get(number, ())
            if number in keeping:
                drafts = drafts[: keeping[number].fits(drafts)]
            if drafts:
                scheduler.propose(number, drafts)
            else:
                length.skipped()

    def _timed(self, wanted: Sequence[Wanted]) -> Mapping[int, Sequence[int]]:
        begin = self.clock()
        found = self.drafter.guess(wanted)
        count = sum(map(len, found.values()))
        if count and self.drafter.steady:
            self.pace.made(count, self.clock() - begin)
        return found

    def stepped(self, batch: Batch, seconds: float) -> None:
        """A step took so long; those that read prompts, or moved pages, tell nothing about drafts."""
        if batch.work and not (batch.out or batch.back or batch.copies):
            drafts = [work.drafts for work in batch.work if len(work.tokens) == work.drafts + 1]
            if len(drafts) == len(batch.work):
                self.pace.stepped(len(drafts), sum(drafts), seconds)

    def forget(self, sequence: int) -> None:
        """It has ended."""
        self.drafter.forget(sequence)
