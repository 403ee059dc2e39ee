"""The engine at work, measured: streams of requests through real steps, each with its seconds.

Full settings run SmolLM2-135M, small ones a random model that is there on any machine; ratios of times then
say less about memory and more about what a step costs by itself. The engine is the one in torch: kernels that
a machine may compile are not used, so that a claim means the same everywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from time import perf_counter
from typing import NamedTuple

import torch

from handbook.engine.asked import Piece, Told
from handbook.engine.constrained import Constraint
from handbook.engine.drafts import Speculation
from handbook.engine.engine import Engine
from handbook.engine.store import page_bytes
from handbook.engine.work import Batch, Limits
from handbook.lab import kit
from handbook.lab.serving.simulator import size_of
from handbook.lab.serving.streams import Job
from handbook.model.config import ModelConfig
from handbook.model.load import Loaded
from handbook.model.tokenizer import Tokenizer
from handbook.model.transformer import Transformer
from handbook.records import Sampling

LETTERS = 64  # what the random model can say
TINY = ModelConfig(
    vocab_size=LETTERS, dim=128, layers=4, heads=4, kv_heads=2, head_dim=32, hidden_dim=384, context=2048
)


@cache
def random_model(dtype: torch.dtype = torch.float32) -> Loaded:
    """A decoder with random weights over 64 characters."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())[:LETTERS]
    backend = Backend(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Transformer(TINY).eval().requires_grad_(False).to(dtype)
    return Loaded(model, Tokenizer(backend), None, TINY, "random")


def subject(small: bool) -> Loaded:
    """What is measured. Raises ModelUnavailable where the full settings lack their model."""
    return random_model() if small else kit.chat_model()


class Step(NamedTuple):
    """seconds of a step, and how much it was: tokens computed, positions read, tokens given out; drafts and
    those that were right, of each sequence that had some."""

    seconds: float
    tokens: int
    positions: int
    given: int
    drafts: tuple[tuple[int, int], ...]


class Session:
    """An engine, and what it was asked: `step` until nobody waits any more. Answers run to their full length.

    pages: of 16 positions. share: find prefixes in the cache. sampling: of all requests, but for their length
    and their seed, which is its own plus the request's number. now: seconds spent in steps.
    """

    def __init__(
        self,
        loaded: Loaded,
        jobs: Sequence[Job] = (),
        limits: Limits | None = None,
        pages: int = 512,
        speculation: Speculation = "off",
        share: bool = False,
        sampling: Sampling | None = None,
    ) -> None:
        memory = pages * page_bytes(loaded.config, 16, loaded.model.dtype.itemsize)
        self.engine = Engine(loaded, memory, limits=limits, speculation=speculation, clock=perf_counter)
        self.engine.pages.share = share
        self.sampling = Sampling(temperature=0.0) if sampling is None else sampling
        self.now = 0.0
        self.steps: list[Step] = []
        self.told: list[Told] = []
        self.times: list[list[float]] = []
        self.said: list[list[str]] = []
        for job in jobs:
            self.ask(job)

    def ask(self, job: Job, seed: int | None = None, constraint: Constraint | None = None) -> int:
        """Returns the number of the request. seed: its own, if not by its number."""
        number, said = len(self.told), list[str]()
        seed = (self.sampling.seed or 0) + number if seed is None else seed
        sampling = replace(self.sampling, max_tokens=job.output, seed=seed)
        deliver = partial(self._deliver, said)
        told = self.engine.ask(
            str(number), job.prompt, sampling, deliver, past_stops=True, constraint=constraint
        )
        self.told.append(told)
        self.times.append([])
        self.said.append(said)
        return number

    @staticmethod
    def _deliver(said: list[str], piece: Piece) -> None:
        said.append(piece.text)

    def step(self) -> float:
        """Returns its seconds."""
        before = [told.accepted for told in self.told]
        asked = {s.id: int(s.request.id) for s in self.engine.scheduler.running}
        batches: list[Batch] = []
        took = kit.seconds(lambda: batches.append(self.engine.step()))
        self.now += took
        given = 0
        for told, times in zip(self.told, self.times, strict=True):
            new = told.produced - len(times)
            times += [self.now] * new
            given += new
        drafts = tuple(
            (work.drafts, self.told[number].accepted - before[number])
            for work in batches[0].work
            if work.drafts and (number := asked[work.sequence]) >= 0
        )
        self.steps.append(Step(took, *size_of(batches[0]), given, drafts))
        return took

    def run(self) -> "Session":
        while self.engine.busy:
            self.step()
        return self

    @property
    def texts(self) -> list[str]:
        return ["".join(said) for said in self.said]


def in_turns(slow: Callable[[], float], fast: Callable[[], float], pairs: int) -> list[float]:
    """slow() / fast(), `pairs` times, on one thread and taking turns as `kit.paired` does, but without
    calls that count for nothing: for work of many seconds, which returns what was measured of it."""
    with kit.quiet():
        ratios = []
        for turn in range(pairs):
            first, second = (slow, fast) if turn % 2 else (fast, slow)
            found = {first: first(), second: second()}
            ratios.append(found[slow] / found[fast])
    return ratios


def run(loaded: Loaded, jobs: Sequence[Job], **options: object) -> Session:
    """Serve jobs that are all there at the start, on one thread; options: see `Session`."""
    with kit.quiet():
        return Session(loaded, jobs, **options).run()  # type: ignore[arg-type]
