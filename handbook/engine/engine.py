"""The engine: texts in, texts out, many at once. `step` tells the story: guess, schedule, run, draw, deliver.

`Engine` is for one thread; `handbook.engine.served` runs one in a thread of its own, for callers elsewhere.

Book: inference-ops/llm-serving-optimization
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Literal

import torch

from handbook.engine.adapters import Adapters
from handbook.engine.asked import Asked, Piece, Speaking, Told
from handbook.engine.constrained import Constraint
from handbook.engine.draft_model import draft_dtype, draft_model
from handbook.engine.drafts import Ahead, Lookup, Speculation
from handbook.engine.drawing import draw_batch, only_best
from handbook.engine.executor import Executor
from handbook.engine.fast import Choice, FastExecutor, pick
from handbook.engine.kernels.pack import Precision
from handbook.engine.observer import Observer
from handbook.engine.pages import Pages
from handbook.engine.scheduler import Scheduler
from handbook.engine.store import PageStore, page_bytes
from handbook.engine.trace import Header, Step
from handbook.engine.work import Batch, Event, Limits, Request
from handbook.model.adapters import Adapter
from handbook.model.load import Loaded
from handbook.records import Sampling

log = logging.getLogger(__name__)


class Engine:
    """A model that answers many requests at once.

    Args:
        loaded: model and tokenizer.
        memory: bytes for the cache's pages.
        page: positions of a page.
        limits: see `Limits`.
        speculation: "lookup" guesses from the text itself, "draft" by a draft model.
        drafts: tokens guessed at once, at most.
        draft: the draft model, of the same tokenizer; `memory` then holds the pages of both. It may be the
            model itself at a lower `draft_precision`; None is `precision`.
        precision: of products on compiled kernels, where there are some for this model and machine (`pick`);
            pages are bf16 then, but for fp32. None stays on torch.
        kv: what the pages hold, where it is not to be as `precision` has it: int8 has a scale for each key
            and value of a head.
        executor: what computes, over pages of its own, as many as `memory` gives; see `precision` otherwise.
        clock: seconds; for deadlines and times.
        watch: see the method.

    Raises ValueError when the memory has no room for a page, or when there is a draft model without its
    speculation or the other way round; HandbookError for one of another tokenizer.
    """

    def __init__(
        self,
        loaded: Loaded,
        memory: int = 512 << 20,
        page: int = 16,
        limits: Limits | None = None,
        speculation: Speculation = "lookup",
        drafts: int = 8,
        draft: Loaded | None = None,
        draft_precision: Precision | None = None,
        precision: Precision | None = None,
        kv: Literal["bf16", "int8"] | None = None,
        executor: Executor | None = None,
        clock: Callable[[], float] = monotonic,
        watch: Callable[[Step], None] | None = None,
    ) -> None:
        self.loaded, self.clock = loaded, clock
        self.limits = Limits() if limits is None else limits
        self.speculation, self.drafts = speculation, drafts
        model = loaded.model
        dtype = model.dtype if precision in (None, "fp32") else torch.bfloat16
        if kv is not None:
            dtype = torch.int8 if kv == "int8" else torch.bfloat16
        if (draft is not None) != (speculation == "draft"):
            there = "a" if draft else "no"
            raise ValueError(f"speculation {speculation!r} with {there} draft model")
        each = page_bytes(loaded.config, page, dtype.itemsize)
        drafting = draft_precision or precision
        if draft is not None:
            each += page_bytes(draft.config, page, draft_dtype(draft, drafting).itemsize)
        count = memory // each
        if count < 1:
            raise ValueError(f"a page of {page} positions takes {each:,} bytes, got {memory:,} for all")
        self.pages = Pages(count, page)
        self.scheduler = Scheduler(self.pages, self.limits)
        if executor is None:
            store = PageStore(loaded.config, count, page, self.limits.swap, dtype, model.device)
            how = pick(model, store, precision)
        else:
            how = Choice(executor, type(executor).__name__)
        self.executor, self.picked = how
        self._adapters = Adapters(model, self.executor)
        self.ahead = Ahead(Lookup(), clock) if speculation == "lookup" else None
        if draft is not None:
            drafter = draft_model(loaded, draft, count, page, self.limits.tokens, drafting)
            self.ahead = Ahead(drafter, clock)
        self._asked: dict[str, Asked] = {}
        self._observer: Observer | None = None
        self.watch(watch)

    @property
    def header(self) -> Header:
        """What a trace of this engine begins with."""
        return Header.of(self.scheduler, self.loaded.name, self.speculation)

    def watch(self, watch: Callable[[Step], None] | None) -> None:
        """Tell this one of every step from now on, at its end and in the engine's thread; None: nobody."""
        self._observer = None if watch is None else Observer(self.scheduler, watch, self.clock)

    @property
    def busy(self) -> bool:
        """Somebody waits for an answer, or for word of its end."""
        return bool(self._asked)

    @property
    def asked(self) -> tuple[str, ...]:
        """The requests that are being answered, by their ids."""
        return tuple(self._asked)

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that may be asked for; from any thread."""
        return tuple(self._adapters.numbers)

    def load_adapter(self, name: str, adapter: Adapter) -> None:
        """Keep an adapter beside the model, for requests that name it, at any time between two steps.

        Raises AdapterError for a name that is taken, and for what can't be served beside others; see
        `adapting.lows_of`.
        """
        self._adapters.load(name, adapter, self.loaded.name)

    def unload_adapter(self, name: str) -> None:
        """Take no more requests for it. Those that are being answered end with it; then its memory is free.
        Raises NoAdapter."""
        self._adapters.unload(name)

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
        constraint: Constraint | None = None,
        adapter: str | None = None,
    ) -> Told:
        """Take a request in; its pieces come through `deliver` while steps are made.

        seconds: give up after so long. logprobs: tell each token's log-probability, and those of so many
        likeliest. past_stops: the model's own stop tokens end nothing. constraint: what the texts are kept
        to; where it is complete they end, past_stops or not. adapter: the name of one that was loaded.
        Raises CannotServe for what could never be answered (all reasons at once; NoAdapter for a name that
        nothing has), QueueFull when too many wait.
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
            stops=frozenset(() if past_stops and not constraint else self.loaded.tokenizer.stops),
            adapter=self._adapters.number(adapter),
        )
        self.scheduler.add(request, now)
        seed = secrets.randbits(63) if sampling.seed is None else sampling.seed
        told = Told(len(prompt), now)
        self._asked[id] = Asked(sampling, seed, deliver, told, logprobs, constraint, request.adapter)
        self._adapters.begin(request.adapter)
        return told

    def cancel(self, id: str) -> bool:
        """Stop answering; pages are free at once. False where there is no such request."""
        return self.scheduler.cancel(id)

    def fail(self) -> None:
        """End everything that is being answered with the reason "error": a step could not be computed."""
        for id in list(self._asked):
            self.scheduler.cancel(id, "error")
        began = self.clock()
        batch = self.scheduler.step(began)
        self._deliver_all(batch.ended)
        for asked in self._asked.values():  # ended in the step that failed, which told nobody
            for sample in tuple(asked.speaking) or (0,):
                with suppress(Exception):
                    asked.deliver(Piece(sample, "", 0, "error"))
        for id in list(self._asked):
            self._forget(id)
        if self._observer is not None:
            self._observer.done(batch, {}, batch.ended, began)

    def step(self) -> Batch:
        """One step of the model for all whose turn it is."""
        if self.ahead is not None:
            self.ahead.guess(self.scheduler, self._asked)
        began = self.clock()
        batch = self.scheduler.step(began)
        if self._observer is not None:
            self._observer.scheduled(batch)
        self._deliver_all(batch.ended)  # now: nobody would tell them if what follows failed
        sampled = self._compute(batch)
        if self.ahead is not None:
            self.ahead.stepped(batch, self.clock() - began)
        events = self.scheduler.done(batch, sampled)
        self._deliver_all(events)
        if self._observer is not None:
            self._observer.done(batch, sampled, [*batch.ended, *events], began)
        return batch

    def _compute(self, batch: Batch) -> dict[int, list[int]]:
        """Run a batch and draw its tokens; logits are not kept where nobody wants more than the likeliest."""
        if isinstance(self.executor, FastExecutor) and only_best(self.scheduler, self._asked, batch):
            best = self.executor.best(batch)
            return draw_batch(self.scheduler, self._asked, batch, torch.empty(0, 0), best)
        return draw_batch(self.scheduler, self._asked, batch, self.executor.run(batch))

    def _deliver_all(self, events: Sequence[Event]) -> None:
        for event in events:
            self._deliver(event)
        for id in {event.request for event in events}:
            if not self.scheduler.lives(id):  # several continuations may end in one step
                self._forget(id)

    def _forget(self, id: str) -> None:
        asked = self._asked.pop(id, None)
        if asked is not None:
            self._adapters.end(asked.adapter)

    def _deliver(self, event: Event) -> None:
        """Tokens to text, up to a stop string; then to whoever asked."""
        if self.ahead is not None and event.reason is not None:
            self.ahead.forget(event.sequence)
        asked = self._asked.get(event.request)
        if asked is None:  # its listener failed
            return
        told, now = asked.told, self.clock()
        told.first, told.last = now if told.first is None else told.first, now
        told.produced += len(event.tokens)
        speaking = asked.speaking.setdefault(
            event.sample, Speaking(self.loaded.tokenizer, asked.sampling, self.drafts)
        )
        kept = asked.kept(event.sample)
        whole = kept is not None and kept.ended
        reason, text = "stop" if whole and event.reason == "length" else event.reason, ""
        for token in event.tokens:
            text += speaking.gate.push(speaking.decoder.push(token))
            if asked.logprobs is not None:
                speaking.likely.append(asked.likely.pop((event.sample, told.prompt + speaking.said)))
            speaking.said += 1
        if (whole or reason is not None) and not speaking.gate.closed:
            text += speaking.gate.push(speaking.decoder.finish()) + speaking.gate.finish()
        if (whole or speaking.gate.closed) and reason is None:
            self.scheduler.finish(event.sequence)
            if self.ahead is not None:
                self.ahead.forget(event.sequence)
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
