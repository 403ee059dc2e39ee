"""Between the event loop that talks to clients and the thread that runs the engine.

A job is what one HTTP request asks: one or several prompts, each with one or several continuations. The
engine's thread hands pieces over in bulk: however many it brings in a step, the loop is woken once.

Book: inference-ops/llm-serving-optimization
"""

import asyncio
import contextlib
import math
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

from handbook.engine.asked import Piece, Told
from handbook.engine.constrained import Constraint
from handbook.engine.engine import Engine
from handbook.engine.metrics import Metrics
from handbook.engine.served import Closing, Served
from handbook.records import Sampling

RECENT = 30.0  # seconds over which the rate of endings is taken


class Job:
    """Prompts that are being continued. A choice is one continuation, numbered prompt by prompt."""

    def __init__(self, id: str, prompts: Sequence[Sequence[int]], samples: int) -> None:
        self.id, self.samples = id, samples
        self.parts = tuple(f"{id}/{index}" for index in range(len(prompts)))
        self.choices = self.open = len(prompts) * samples
        self.prompt_tokens = sum(map(len, prompts))
        self.tokens = [0] * self.choices
        self.reasons: list[str] = []
        self.told: list[Told] = []
        self.began = monotonic()
        self.first: float | None = None  # when its first token came
        self.last = self.began
        self._news = asyncio.Event()
        self._pieces: list[tuple[int, Piece]] = []

    def put(self, choice: int, piece: Piece) -> None:
        self.last = monotonic()
        if self.first is None and piece.tokens:
            self.first = self.last
        self.tokens[choice] += piece.tokens
        if piece.reason is not None:
            self.open -= 1
            self.reasons.append(piece.reason)
        self._pieces.append((choice, piece))
        self._news.set()

    async def pieces(self) -> list[tuple[int, Piece]]:
        """All that has come since the last call, by choice; waits until there is something."""
        await self._news.wait()
        self._news.clear()
        pieces, self._pieces = self._pieces, []
        return pieces

    @property
    def waited(self) -> float | None:
        """Seconds to the first token."""
        return None if self.first is None else self.first - self.began

    @property
    def usage(self) -> dict[str, Any]:
        """As OpenAI counts, as far as it has got. Drafts stand where predictions do."""
        produced = sum(self.tokens)
        accepted = sum(told.accepted for told in self.told)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": produced,
            "total_tokens": self.prompt_tokens + produced,
            "prompt_tokens_details": {"cached_tokens": sum(told.reused for told in self.told)},
            "completion_tokens_details": {
                "accepted_prediction_tokens": accepted,
                "rejected_prediction_tokens": sum(told.drafted for told in self.told) - accepted,
            },
        }


class Desk:
    """Takes jobs in for an engine, from one event loop."""

    def __init__(self, served: Served) -> None:
        self.served, self.metrics = served, Metrics(served.engine)
        self.draining, self._end = False, math.inf
        self.compiling = asyncio.Semaphore(1)  # grammars, one at a time: they may take long
        self.compiler = ThreadPoolExecutor(1, "grammars")  # one thread: many would each keep a heap for them
        self.forms = 0  # requests that wait for theirs
        self.jobs: dict[str, Job] = {}
        self._ends: deque[float] = deque(maxlen=4096)
        self._post: deque[tuple[Job, int, Piece]] = deque()
        self._told = False

    async def take(
        self,
        prefix: str,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        samples: int = 1,
        logprobs: int | None = None,
        past_stops: bool = False,
        constraint: Constraint | None = None,
        adapter: str | None = None,
    ) -> Job:
        """Ask the engine, for all prompts or for none.

        Raises Closing while draining, QueueFull, and CannotServe. Whoever takes a job leaves it: `leave`.
        """
        job = Job(prefix + secrets.token_hex(12), prompts, samples)
        loop = asyncio.get_running_loop()

        def deliver(index: int) -> Callable[[Piece], None]:
            return lambda piece: self._hand_over(loop, job, index * samples + piece.sample, piece)

        def ask(engine: Engine) -> list[Told]:
            if self.draining or self.served.closing:
                raise Closing("the server is being stopped")
            return [
                engine.ask(
                    part,
                    prompt,
                    sampling,
                    deliver(index),
                    samples=samples,
                    logprobs=logprobs,
                    past_stops=past_stops,
                    constraint=constraint,
                    adapter=adapter,
                )
                for index, (part, prompt) in enumerate(zip(job.parts, prompts, strict=True))
            ]

        future = self.served.call(ask)
        self.jobs[job.id] = job
        try:
            job.told = await asyncio.wrap_future(future)
        except BaseException:
            self.leave(job)  # also what was taken in before another prompt was refused
            raise
        return job

    def leave(self, job: Job) -> None:
        """Nobody waits for it any more: what is not finished is cancelled, and its pages are free at once."""
        if self.jobs.pop(job.id, None) is not None and job.open:
            self.cancel(job)

    def cancel(self, job: Job) -> None:
        """End what is open of it; those who wait are told."""

        def cancel(engine: Engine) -> None:
            for part in job.parts:
                engine.cancel(part)

        with contextlib.suppress(Closing):  # it has ended already
            self.served.call(cancel)

    async def drain(self, seconds: float) -> None:
        """Take nothing in, finish what runs for so long, then cancel it. A second call with less shortens
        the first."""
        self.draining = True
        self._end = min(self._end, monotonic() + seconds)
        while self.jobs and monotonic() < self._end:
            await asyncio.sleep(0.02)
        for job in list(self.jobs.values()):
            self.cancel(job)

    @property
    def retry_after(self) -> int:
        """Seconds until the queue may be empty, as fast as texts ended lately: 1 to 60; 10 when none did."""
        now = monotonic()
        while self._ends and self._ends[0] < now - RECENT:
            self._ends.popleft()
        if not self._ends:
            return 10
        rate = len(self._ends) / max(now - self._ends[0], 0.001)
        return max(1, min(60, math.ceil(len(self.served.engine.scheduler.queue) / rate)))

    def _hand_over(self, loop: asyncio.AbstractEventLoop, job: Job, choice: int, piece: Piece) -> None:
        """In the engine's thread. Told is set before the loop empties the post, and cleared first by it: a
        piece that finds it set is still taken along."""
        self._post.append((job, choice, piece))
        if not self._told:
            self._told = True
            loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        """In the loop."""
        self._told = False
        while self._post:
            job, choice, piece = self._post.popleft()
            job.put(choice, piece)
            if piece.reason is not None:
                self._ends.append(monotonic())
            self.metrics.saw(job, choice, piece)
