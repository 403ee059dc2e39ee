"""Loads that are written down, run by the real scheduler with nothing behind it: no model, no torch.

What texts say is made up, and so is the time: a step takes `STEP` seconds and `TOKEN` more for each token
that it computes. Who waits, runs, shares pages or makes room is decided as it is in the engine. The same
scenario with the same knobs is the same run, step by step.

Book: inference-ops/llm-serving-optimization
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import sleep
from typing import TYPE_CHECKING
from zlib import crc32

from handbook.engine.observer import Observer
from handbook.engine.pages import Pages
from handbook.engine.scheduler import Running, Scheduler
from handbook.engine.trace import Header, Step
from handbook.engine.work import Batch, Limits, Request
from handbook.errors import HandbookError
from handbook.records import Sampling

if TYPE_CHECKING:
    from handbook.engine.engine import Engine

STEP, TOKEN = 0.004, 0.00005  # seconds, made up
MOST_STEPS = 3000
VOCABULARY = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """page: positions of a page. memory: positions of all pages. tokens: computed in a step at most. running:
    sequences at once. chunked: prompts in pieces. drafts: guessed ahead for each text, 0 for none. swap: who
    makes room is moved to a second memory of the same size, not computed anew. share: keep full pages
    findable, so that equal beginnings are computed once."""

    page: int = 16
    memory: int = 1024
    tokens: int = 64
    running: int = 16
    chunked: bool = True
    drafts: int = 0
    swap: bool = False
    share: bool = True

    def faults(self) -> list[str]:
        """Everything that can't be, or can't be shown."""
        bounds = {"page": (1, 256), "memory": (16, 65_536), "tokens": (1, 8192), "running": (1, 256)}
        bounds["drafts"] = (0, 16)
        return [
            f"{name} is {getattr(self, name)}, expected {low} to {high:,}"
            for name, (low, high) in bounds.items()
            if not low <= getattr(self, name) <= high
        ]


@dataclass(frozen=True, slots=True)
class Scenario:
    """load: requests and when they come, in order. right: the share of drafts that are right. look: what to
    see in it."""

    name: str
    title: str
    look: str
    load: Sequence[tuple[float, Request]]
    knobs: Knobs
    right: float = 0.5

    @property
    def longest(self) -> int:
        """Tokens of the longest text, whole."""
        return max(len(request.prompt) + request.max_tokens for _, request in self.load)


def fitted(scenario: Scenario, knobs: Knobs) -> tuple[Knobs, list[str]]:
    """Knobs under which every request of the scenario can run, and what had to be raised for it.

    Raises HandbookError for knobs that can't be.
    """
    if faults := knobs.faults():
        raise HandbookError(f"These settings can't be: {'; '.join(faults)}.", "Correct them.")
    notes, longest = [], scenario.longest
    if knobs.memory < longest + knobs.page:
        notes.append(f"memory raised to {longest + knobs.page} positions: the longest text has {longest}")
        knobs = replace(knobs, memory=longest + knobs.page)
    if not knobs.chunked and knobs.tokens < longest:
        notes.append(f"budget raised to {longest} tokens: without chunks a whole text has to fit into a step")
        knobs = replace(knobs, tokens=longest)
    samples = max(request.samples for _, request in scenario.load)
    if knobs.running < samples:
        notes.append(f"{samples} texts run at once: a request wants so many")
        knobs = replace(knobs, running=samples)
    if knobs.tokens < knobs.running:
        notes.append(f"{knobs.tokens} texts run at once at most: each needs a token of the budget")
        knobs = replace(knobs, running=knobs.tokens)
        if knobs.running < samples:
            notes[-1] = f"budget raised to {samples} tokens: a request wants so many texts"
            knobs = replace(knobs, running=samples, tokens=samples)
    return knobs, notes


def run(scenario: Scenario, knobs: Knobs) -> tuple[Header, list[Step]]:
    """The whole run. Raises HandbookError for knobs that can't be."""
    knobs, _ = fitted(scenario, knobs)
    pages = Pages(max(1, knobs.memory // knobs.page), knobs.page, knobs.share)
    limits = Limits(
        tokens=knobs.tokens,
        running=knobs.running,
        chunked=knobs.chunked,
        swap=pages.count if knobs.swap else 0,
    )
    scheduler = Scheduler(pages, limits)
    steps: list[Step] = []
    now = 0.0
    observer = Observer(scheduler, steps.append, lambda: now)
    coming = list(reversed(scenario.load))
    while (coming or len(scheduler)) and len(steps) < MOST_STEPS:
        if not len(scheduler):
            now = max(now, coming[-1][0])
        while coming and coming[-1][0] <= now:
            scheduler.add(coming.pop()[1], now)
        if knobs.drafts:
            for sequence in scheduler.running:
                if len(sequence.tokens) - sequence.table.length == 1:
                    scheduler.propose(sequence.id, _guess(sequence, knobs.drafts, scenario.right))
        began = now
        batch = scheduler.step(began)
        observer.scheduled(batch)
        sampled = _draw(scheduler.sequence, batch)
        events = [*batch.ended, *scheduler.done(batch, sampled)]
        now += STEP + TOKEN * batch.tokens
        observer.done(batch, sampled, events, began)
    speculation = f"{knobs.drafts} drafts" if knobs.drafts else "off"
    return replace(Header.of(scheduler, scenario.title, speculation, "simulated"), made=""), steps


def ask(engine: "Engine", scenario: Scenario) -> None:
    """The same load on a real engine, as it comes in on its clock. Prompts make no sense, and neither do the
    answers: they end by their length. Raises CannotServe for a load that this engine has no room for."""
    began, coming = engine.clock(), list(reversed(scenario.load))
    words = engine.loaded.config.vocab_size
    while coming or engine.busy:
        now = engine.clock() - began
        while coming and coming[-1][0] <= now:
            request = coming.pop()[1]
            engine.ask(
                request.id,
                [token % words for token in request.prompt],
                Sampling(max_tokens=request.max_tokens, temperature=0.0),
                lambda piece: None,
                samples=request.samples,
                past_stops=True,
            )
        if engine.busy:
            engine.step()
        else:
            sleep(coming[-1][0] - now)


def token_at(request: str, sample: int, place: int) -> int:
    """What a text says at a place."""
    return crc32(f"{request}/{sample}/{place}".encode()) % VOCABULARY


def _guess(sequence: Running, count: int, right: float) -> list[int]:
    """Drafts, of which about this share is right."""
    name, sample, place = sequence.request.id, sequence.sample, len(sequence.tokens)
    tokens = []
    for at in range(place, place + count):
        hit = crc32(f"{name}:{sample}:{at}".encode()) < right * 2**32
        tokens.append(token_at(name, sample, at) if hit else VOCABULARY)
    return tokens


def _draw(sequence_of: Callable[[int], Running | None], batch: Batch) -> dict[int, list[int]]:
    """What the model would say."""
    sampled: dict[int, list[int]] = {}
    for work in batch.work:
        if not work.wanted:
            continue
        sequence = sequence_of(work.sequence)
        assert sequence is not None
        name, place = sequence.request.id, len(sequence.tokens)
        if not work.drafts:
            first = sequence.sample
            sampled[work.sequence] = [token_at(name, first + n, place) for n in range(work.wanted)]
            continue
        said: list[int] = []
        for draft in (*work.tokens[-work.drafts :], None):
            said.append(token_at(name, sequence.sample, place + len(said)))
            if said[-1] != draft:
                break
        sampled[work.sequence] = said
    return sampled
