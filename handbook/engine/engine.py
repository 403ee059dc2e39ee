"""The engine: texts in, texts out, many at once. `step` tells the story: guess, schedule, run, draw, deliver.

`Engine` is for one thread; `handbook.engine.served` runs one in a thread of its own, for callers elsewhere.

Book: inference-ops/llm-serving-optimization
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from handbook.engine.executor import Executor, TorchExecutor, rows_wanted
from handbook.engine.fast import pick
from handbook.engine.generate import StopGate
from handbook.engine.kernels.pack import Precision
from handbook.engine.pages import Pages
from handbook.engine.sampler import distribution, draw, randomness
from handbook.engine.scheduler import Running, Scheduler
from handbook.engine.speculative import DraftLength, PromptLookup, accept_same_draw
from handbook.engine.store import PageStore, page_bytes
from handbook.engine.work import Batch, Event, Limits, Reason, Request, Work
from handbook.model.load import Loaded
from handbook.model.tokenizer import StreamDecoder
from handbook.records import Sampling

log = logging.getLogger(__name__)


class Likely(NamedTuple):
    """A token that was drawn, its log-probability as the model gave it (before penalties, bias and
    temperature), and the likeliest tokens of its place with theirs."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that is certain, of one continuation.

    tokens: how many it took. reason: why it ended, if it did. likely: of each of its tokens, where asked for.
    """

    sample: int
    text: str
    tokens: int
    reason: Reason | None = None
    likely: tuple[Likely, ...] = ()


@dataclass(slots=True)
class Told:
    """What became of a request so far: prompt tokens found in the cache, drafts made and right, seconds on
    the engine's clock."""

    prompt: int
    since: float
    first: float | None = None
    last: float | None = None
    reused: int = 0
    drafted: int = 0
    accepted: int = 0
    produced: int = 0


@dataclass(slots=True)
class Asked:
    """A request that is being answered, and where its pieces go."""

    sampling: Sampling
    seed: int
    deliver: Callable[[Piece], None]
    told: Told
    logprobs: int | None = None
    likely: dict[tuple[int, int], Likely] = field(default_factory=dict)  # by sample and place
    speaking: dict[int, "Speaking"] = field(default_factory=dict)


class Speaking:
    """One continuation's way from tokens to text."""

    def __init__(self, engine: "Engine", sampling: Sampling) -> None:
        self.decoder = StreamDecoder(engine.loaded.tokenizer)
        self.gate = StopGate(sampling.stop)
        self.lookup = PromptLookup()
        self.length = DraftLength(engine.drafts)
        self.untold = 0  # tokens whose text is held back
        self.said = 0
        self.likely: list[Likely] = []  # of the tokens whose text is held back


Speculation = Literal["off", "lookup"]


class Engine:
    """A model that answers many requests at once.

    Args:
        loaded: model and tokenizer.
        memory: bytes for the cache's pages.
        page: positions of a page.
        limits: see `Limits`.
        speculation: "lookup" guesses from the text itself.
        drafts: tokens guessed at once, at most.
        precision: of products on compiled kernels, where there are some for this model and machine (`pick`);
            pages are bf16 then, but for fp32. None stays on torch.
        executor: what computes, over pages of its own, as many as `memory` gives; see `precision` otherwise.
        clock: seconds; for deadlines and times.

    Raises ValueError when the memory has no room for a page.
    """

    def __init__(
        self,
        loaded: Loaded,
        memory: int = 512 << 20,
        page: int = 16,
        limits: Limits | None = None,
        speculation: Speculation = "lookup",
        drafts: int = 8,
        precision: Precision | None = None,
        executor: Executor | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.loaded, self.clock = loaded, clock
        self.limits = Limits() if limits is None else limits
        self.speculation, self.drafts = speculation, drafts
        model = loaded.model
        dtype = model.dtype if precision in (None, "fp32") else torch.bfloat16
        each = page_bytes(loaded.config, page, dtype.itemsize)
        count = memory // each
        if count < 1:
            raise ValueError(f"a page of {page} positions takes {each:,} bytes, got {memory:,} for all")
        self.pages = Pages(count, page)
        self.scheduler = Scheduler(self.pages, self.limits)
        if executor is None:
            store = PageStore(loaded.config, count, page, self.limits.swap, dtype, model.device)
            executor = pick(model, store, precision).executor if precision else TorchExecutor(model, store)
        self.executor = executor
        self._asked: dict[str, Asked] = {}

    @property
    def busy(self) -> bool:
        """Somebody waits for an answer, or for word of its end."""
        return bool(self._asked)

    @property
    def asked(self) -> tuple[str, ...]:
        """The requests that are being answered, by their ids."""
        return tuple(self._asked)

    def ask(
        self,
        id: str,
        prompt: Sequence[int],
        sampling: Sampling,
        deliver: Callable[[Piece], None],
        *,
        samples: int = 1,
        priority: int = 0,
        tenant: str = "",
        seconds: float | None = None,
        logprobs: int | None = None,
        past_stops: bool = False,
    ) -> Told:
        """Take a request in; its pieces come through `deliver` while steps are made.

        seconds: give up after so long. logprobs: tell each token's log-probability, and those of so many
        likeliest. past_stops: the model's own stop tokens end nothing. Raises CannotServe for what could
        never be answered (all reasons at once), QueueFull when too many wait.
        """
        now = self.clock()
        room = self.loaded.config.context - len(prompt)
        request = Request(
            id=id,
            prompt=tuple(prompt),
            max_tokens=min(sampling.max_tokens, max(room, 0)),
            samples=samples,
            priority=priority,
            tenant=tenant,
            deadline=None if seconds is None else now + seconds,
            stops=frozenset() if past_stops else frozenset(self.loaded.tokenizer.stops),
        )
        self.scheduler.add(request, now)
        seed = secrets.randbits(63) if sampling.seed is None else sampling.seed
        told = Told(len(prompt), now)
        self._asked[id] = Asked(sampling, seed, deliver, told, logprobs)
        return told

    def cancel(self, id: str) -> bool:
        """Stop answering; pages are free at once. False where there is no such request."""
        return self.scheduler.cancel(id)

    def fail(self) -> None:
        """End everything that is being answered with the reason "error": a step could not be computed."""
        for id in list(self._asked):
            self.scheduler.cancel(id, "error")
        self._deliver_all(self.scheduler.step(self.clock()).ended)

    def step(self) -> Batch:
        """One step of the model for all whose turn it is."""
        if self.speculation != "off":
            self._guess()
        batch = self.scheduler.step(self.clock())
        logits = self.executor.run(batch)
        sampled = self._draw(batch, logits)
        self._deliver_all([*batch.ended, *self.scheduler.done(batch, sampled)])
        return batch

    def _guess(self) -> None:
        """Drafts for those who decode, as many as were worth their time lately."""
        for sequence in self.scheduler.running:
            asked = self._asked[sequence.request.id]
            speaking = asked.speaking.get(sequence.sample)
            if speaking is None or len(sequence.tokens) - sequence.table.length != 1:
                continue
            most = speaking.length.next
            drafts = speaking.lookup.guess(sequence.tokens, most) if most else []
            if drafts:
                self.scheduler.propose(sequence.id, drafts)
            else:
                speaking.length.skipped()

    def _draw(self, batch: Batch, logits: Tensor) -> dict[int, list[int]]:
        """The tokens of each work that wants some, from logits [M, V]."""
        sampled: dict[int, list[int]] = {}
        best: list[int] | None = None
        at = 0
        for work in batch.work:
            if not work.wanted:
                continue
            rows = slice(at, at + rows_wanted(work))
            at = rows.stop
            sequence = self.scheduler.sequence(work.sequence)
            assert sequence is not None  # nobody cancels within a step
            asked = self._asked[sequence.request.id]
            asked.told.reused = sequence.reused
            if plain(asked.sampling):
                best = logits.argmax(dim=-1).tolist() if best is None else best
                drawn = best[rows] * (1 if work.drafts else work.wanted)
            elif work.drafts:
                drawn = self._draw_ahead(logits[rows], asked, sequence, work)
            else:
                first = sequence.sample
                shares = distribution(logits[rows.start], asked.sampling, sequence.tokens, asked.told.prompt)
                place = len(sequence.tokens)
                drawn = [draw(shares, randomness(asked.seed, place, first + n)) for n in range(work.wanted)]
            if work.drafts:
                drafts = work.tokens[-work.drafts :]
                drawn = accept_same_draw(drafts, drawn)
                asked.told.drafted += work.drafts
                asked.told.accepted += len(drawn) - 1
                asked.speaking[sequence.sample].length.saw(work.drafts, len(drawn) - 1)
            if asked.logprobs is not None:
                self._note(logits[rows], asked, sequence, work, drawn)
            sampled[work.sequence] = drawn
        return sampled

    def _note(
        self, logits: Tensor, asked: Asked, sequence: Running, work: Work, drawn: Sequence[int]
    ) -> None:
        """Keep how likely the drawn tokens were: logits [drafts + 1, V]. With drafts they follow each other,
        else each begins or goes on in its own sample."""
        shares = logits.float().log_softmax(dim=-1)
        best = shares.topk(min(asked.logprobs or 0, shares.shape[-1]))
        for n, token in enumerate(drawn):
            row, sample, ahead = (n, 0, n) if work.drafts else (0, n, 0)
            top = zip(best.indices[row].tolist(), best.values[row].tolist(), strict=True)
            key = sequence.sample + sample, len(sequence.tokens) + ahead
            asked.likely[key] = Likely(token, float(shares[row, token]), tuple(top))

    def _draw_ahead(self, logits: Tensor, asked: Asked, sequence: Running, work: Work) -> list[int]:
        """What would be said at each place, as far as the drafts are right: logits [drafts + 1, V]."""
        history, drawn = list(sequence.tokens), []
        for row, draft in zip(logits, (*work.tokens[-work.drafts :], None), strict=True):
            shares = distribution(row, asked.sampling, history, asked.told.prompt)
            drawn.append(draw(shares, randomness(asked.seed, len(history), sequence.sample)))
            if drawn[-1] != draft:
                break
            history.append(drawn[-1])
        return drawn

    def _deliver_all(self, events: Sequence[Event]) -> None:
        for event in events:
            self._deliver(event)
        for id in {event.request for event in events}:
            if not self.scheduler.lives(id):  # several continuations may end in one step
                self._asked.pop(id, None)

    def _deliver(self, event: Event) -> None:
        """Tokens to text, up to a stop string; then to whoever asked."""
        asked = self._asked.get(event.request)
        if asked is None:  # its listener failed
            return
        told, now = asked.told, self.clock()
        told.first, told.last = now if told.first is None else told.first, now
        told.produced += len(event.tokens)
        speaking = asked.speaking.setdefault(event.sample, Speaking(self, asked.sampling))
        reason, text = event.reason, ""
        for token in event.tokens:
            text += speaking.gate.push(speaking.decoder.push(token))
            if asked.logprobs is not None:
                speaking.likely.append(asked.likely.pop((event.sample, told.prompt + speaking.said)))
            speaking.said += 1
        if reason is not None and not speaking.gate.closed:
            text += speaking.gate.push(speaking.decoder.finish()) + speaking.gate.finish()
        if speaking.gate.closed and reason is None:
            self.scheduler.finish(event.sequence)
            reason = "stop"
        if reason is not None:
            del asked.speaking[event.sample]
        speaking.untold += len(event.tokens)
        if text or reason is not None:
            count, speaking.untold = speaking.untold, 0
            likely, speaking.likely = tuple(speaking.likely), []
            try:
                asked.deliver(Piece(event.sample, text, count, reason, likely))
            except Exception:
                log.exception("nobody takes the answer to %s", event.request)
                self.cancel(event.request)


def plain(sampling: Sampling) -> bool:
    """Whether the likeliest token is always taken, as it comes from the model."""
    return (
        sampling.temperature <= 0
        and sampling.repetition_penalty == 1.0
        and sampling.presence_penalty == sampling.frequency_penalty == 0.0
        and not sampling.logit_bias
    )
