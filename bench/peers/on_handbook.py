"""Our engine in this process.

Switches of a run: chunked, share (prefix cache), speculation, budget (tokens of a step), watch (look at pages
and at the time outside kernels, which costs some time itself).
"""

import os
from argparse import Namespace
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from talk import Ask, answer, drive

PAGES = 512 << 20  # bytes
WHOLE = 2048  # tokens of a step without chunks: the longest prompt has to fit


class Timed:
    """A library whose functions add up the time that is spent in them."""

    def __init__(self, library: Any) -> None:
        self.library, self.seconds = library, 0.0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self.library, name)

        def timed(*args: Any) -> Any:
            begin = perf_counter()
            result = function(*args)
            self.seconds += perf_counter() - begin
            return result

        setattr(self, name, timed)
        return timed


class Watch:
    """Looks at the engine at each step: how full its pages are, what a step reads, what it spends outside
    the kernels. longest: positions that a cache without pages would keep for every sequence."""

    def __init__(self, engine: Any, longest: int) -> None:
        self.engine, self.executor, self.longest = engine, engine.executor, longest
        self.held = self.used = self.steps = self.positions = self.places = 0
        self.decode_seconds = self.seconds = 0.0
        self.kernels = Timed(self.executor.kernels) if hasattr(self.executor, "kernels") else None

    def step(self) -> None:
        engine, kernels = self.engine, self.kernels
        if kernels is not None:
            self.executor.kernels = kernels
        begin = perf_counter()
        batch = engine.step()
        seconds = perf_counter() - begin
        if kernels is not None:
            self.executor.kernels = kernels.library
        self.seconds += seconds
        running = engine.scheduler.running
        self.places += len(running)
        self.held += engine.pages.size * sum(len(s.table.pages) for s in running)
        self.used += sum(s.table.length for s in running)
        if batch.work and all(len(work.tokens) == 1 for work in batch.work):
            self.steps += 1
            self.decode_seconds += seconds
            self.positions += sum(work.start + 1 for work in batch.work)

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.held:
            found["page_waste"] = 1 - self.used / self.held
            found["reservation_waste"] = 1 - self.used / (self.places * self.longest)
        if self.kernels is not None:
            found["outside_kernels"] = 1 - self.kernels.seconds / self.seconds
        if self.steps and self.kernels is not None:
            executor = self.executor
            store = executor.store
            weights = executor.head.nbytes + sum(each.nbytes for layer in executor.layers for each in layer)
            found["weight_bytes"] = weights
            position = store.nbytes / (len(store.keys[0]))
            found["cache_bytes"] = position * self.positions / self.steps
            found["decode_step_seconds"] = self.decode_seconds / self.steps
        return found


class Handbook:
    """Keeps the packed model; every run gets an engine of its own over it, so that its cache is empty."""

    def __init__(self, options: Namespace) -> None:
        from handbook.engine.opened import open_engine
        from handbook.settings import load

        self.memory = int(os.environ.get("HANDBOOK_BENCH_PAGES", PAGES))
        settings = load(threads=options.threads)
        self.first = open_engine(options.model, settings, options.precision or "auto", memory=self.memory)

    def about(self) -> dict[str, Any]:
        from handbook import __version__

        return {"version": f"handbook {__version__}", "precision": self.first.picked}

    def _engine(self, switches: dict[str, Any]) -> Any:
        from handbook.engine.engine import Engine
        from handbook.engine.work import Limits

        chunked = switches.get("chunked", True)
        tokens = switches.get("budget", Limits().tokens if chunked else WHOLE)
        executor = self.first.executor
        engine = Engine(
            self.first.loaded,
            self.memory,
            limits=Limits(tokens=tokens, chunked=chunked),
            speculation=switches.get("speculation", "off"),
            precision=getattr(executor, "precision", None),
            executor=executor,
        )
        engine.pages.share = switches.get("share", True)
        return engine

    def run(self, asks: Sequence[Ask], switches: dict[str, Any]) -> dict[str, Any]:
        from handbook.records import Sampling

        engine = self._engine(switches)
        longest = max(len(ask.prompt) + ask.tokens for ask in asks)
        watch = Watch(engine, longest) if switches.get("watch") else None
        stepping = engine.step if watch is None else watch.step
        told: dict[int, Any] = {}
        seen: dict[int, int] = {}

        def admit(number: int, ask: Ask) -> None:
            sampling = Sampling(temperature=0.0, max_tokens=ask.tokens)
            told[number] = engine.ask(str(number), ask.prompt, sampling, lambda _: None, past_stops=True)
            seen[number] = 0

        def step() -> dict[int, int]:
            stepping()
            came = {n: each.produced - seen[n] for n, each in told.items() if each.produced > seen[n]}
            for number in came:
                seen[number] = told[number].produced
                if str(number) not in engine.asked:
                    del told[number]
            return came

        found: dict[str, Any] = {"times": drive(asks, admit, step)}
        counts = engine.scheduler.counts
        found |= {"reused": counts.reused, "drafted": counts.drafted, "accepted": counts.accepted}
        return found | {"preempted": counts.preempted} | (watch.told() if watch is not None else {})


if __name__ == "__main__":
    answer(Handbook)
