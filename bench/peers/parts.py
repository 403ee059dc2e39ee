"""The parts of the benchmark: each takes the bench's sides and gives rows, by side."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from figures import Row, closed, medians, stream
from neighbours import undisturbed
from on_llama import batched
from sides import Remote
from talk import Ask
from workload import Prompts, arriving

OURS = "handbook"
STATIC = "transformers"
LOADED = 0.7  # share of our saturation at which the switches are compared

Found = dict[str, Any]


@dataclass(slots=True)
class Bench:
    """What every part needs. open: starts a side anew. sides: those that are up. forms: of llama.cpp,
    measured by its own benchmark."""

    prompts: Prompts
    sides: dict[str, Remote]
    open: Mapping[str, Callable[[], Remote]]
    rounds: int
    threads: int
    counts: Sequence[int]
    prompt: int
    tokens: int
    requests: int
    longest: int
    loads: Sequence[float]
    prefill: Sequence[int]
    forms: Mapping[str, Path] = field(default_factory=dict)
    bench: Path | None = None
    rates: dict[bool, float] = field(default_factory=dict)  # our saturation, requests a second, by prefix

    def turns(
        self,
        runs: Mapping[str, Callable[[list[Ask]], Row]],
        make: Callable[[], list[Ask]],
        warm: bool = False,
    ) -> Found:
        """Everybody once a round with the same requests, forward, then backward; warm: one round more, that
        doesn't count."""
        rows: dict[str, list[Row]] = {name: [] for name in runs}
        for turn in range(self.rounds + warm):
            asks = make()
            for name in list(runs) if turn % 2 else reversed(list(runs)):
                mine = [side for key, side in self.sides.items() if name.startswith(key)]
                pids = [side.process.pid for side in mine or self.sides.values()]
                row, others = undisturbed(partial(runs[name], asks), pids)
                row["others_cores"] = others
                print(f"  {name}: " + ", ".join(f"{k} {v:.4g}" for k, v in row.items()), file=sys.stderr)
                if turn or not warm:
                    rows[name].append(row)
        return {name: medians(each) for name, each in rows.items()}

    def side(
        self, name: str, figures: Callable[[Sequence[Ask], Any], Row], **switches: Any
    ) -> Callable[[list[Ask]], Row]:
        def run(asks: list[Ask]) -> Row:
            told = self.sides[name].run(asks, **switches)
            kept = {
                key: value
                for key, value in told.items()
                if key != "times" and value and isinstance(value, int | float)
            }
            return figures(asks, told["times"]) | kept

        return run

    def llama(self, form: str, prompt: int, tokens: int, count: int) -> Callable[[list[Ask]], Row]:
        """llama.cpp's own benchmark: it draws no tokens, and its times are its own."""

        def run(_: list[Ask]) -> Row:
            assert self.bench is not None
            (row,) = batched(self.bench, self.forms[form], self.threads, prompt, tokens, [count])
            return {
                "output_tokens_per_s": count * tokens / (row["t_pp"] + row["t_tg"]),
                "prefill_tokens_per_s": row["speed_pp"],
                "decode_tokens_per_s": row["speed_tg"],
            }

        return run


def batch(bench: Bench) -> Found:
    """So many sequences at once, of one length."""
    found = {}
    for count in bench.counts:
        print(f"batch of {count}", file=sys.stderr)
        runs = {name: bench.side(name, closed) for name in bench.sides if not name.startswith("llama")}
        for form in bench.forms:
            runs[f"llama-{form}"] = bench.llama(form, bench.prompt, bench.tokens, count)
        make = lambda count=count: bench.prompts.batch(count, bench.prompt, bench.tokens)  # noqa: E731
        found[str(count)] = bench.turns(runs, make, warm=True)
    return found


def prefill(bench: Bench) -> Found:
    """One prompt, one token."""
    found = {}
    for length in bench.prefill:
        print(f"prefill of {length}", file=sys.stderr)
        runs = {name: bench.side(name, closed) for name in bench.sides if not name.startswith("llama")}
        for form in bench.forms:
            runs[f"llama-{form}"] = bench.llama(form, length, 1, 1)
        make = lambda length=length: bench.prompts.batch(1, length, 1)  # noqa: E731
        rows = bench.turns(runs, make, warm=True)
        found[str(length)] = {
            name: {"prefill_tokens_per_s": row["prefill_tokens_per_s"]} for name, row in rows.items()
        }
    return found


def copying(bench: Bench) -> Found:
    """One sequence that copies its context: speculation by lookup, on and off."""
    print("a text that copies its context", file=sys.stderr)
    runs = {
        f"{OURS}, lookup": bench.side(OURS, closed, speculation="lookup"),
        OURS: bench.side(OURS, closed),
    }
    for form in bench.forms:
        runs[f"llama-{form}"] = bench.llama(form, bench.prompt, bench.tokens, 1)
    return bench.turns(runs, lambda: bench.prompts.copying(bench.prompt, bench.tokens), warm=True)


def saturation(bench: Bench) -> Found:
    """The stream, all at once, without and with a shared beginning."""
    found = {}
    for prefix in (False, True):
        label = "shared prefix" if prefix else "mixed"
        print(f"stream at saturation, {label}", file=sys.stderr)
        runs = {name: bench.side(name, stream) for name in bench.sides}
        found[label] = bench.turns(
            runs, lambda prefix=prefix: bench.prompts.stream(bench.requests, prefix, bench.longest)
        )
        bench.rates[prefix] = found[label][OURS]["requests_per_s"]["median"]
    return found


def _rate(bench: Bench, prefix: bool) -> float:
    if prefix not in bench.rates:
        asks = bench.prompts.stream(bench.requests, prefix, bench.longest)
        rows = [bench.side(OURS, stream)(asks)["requests_per_s"] for _ in range(3)]
        bench.rates[prefix] = sorted(rows)[1]
    return bench.rates[prefix]


def load(bench: Bench) -> Found:
    """The stream as a Poisson process, at shares of what saturates ours. Static batches are left out: they
    are behind at each of these."""
    found = {}
    for prefix in (False, True):
        for share in bench.loads:
            label = f"{'shared prefix' if prefix else 'mixed'}, {share:g}"
            rate = _rate(bench, prefix) * share
            print(f"stream, {label}: {rate:.2f} requests/s", file=sys.stderr)
            runs = {name: bench.side(name, stream) for name in bench.sides if name != STATIC}

            def make(prefix: bool = prefix, rate: float = rate) -> list[Ask]:
                return arriving(bench.prompts.stream(bench.requests, prefix, bench.longest), rate)

            found[label] = {"rate_per_s": rate, "sides": bench.turns(runs, make)}
    return found


def switches(bench: Bench) -> Found:
    """Ours alone: chunked prefill and prefix cache, on and off; and how full the cache is."""
    rate = _rate(bench, False) * LOADED
    print(f"chunked or whole, {rate:.2f} requests/s", file=sys.stderr)
    runs = {name: bench.side(OURS, stream, chunked=name == "chunked") for name in ("chunked", "whole")}
    chunked = bench.turns(
        runs, lambda: arriving(bench.prompts.stream(bench.requests, False, bench.longest), rate)
    )
    print("prefix cache on or off", file=sys.stderr)
    runs = {name: bench.side(OURS, stream, share=name == "shared") for name in ("shared", "alone")}
    shared = bench.turns(runs, lambda: bench.prompts.stream(bench.requests, True, bench.longest))
    asks = bench.prompts.stream(bench.requests, False, bench.longest)
    told = bench.sides[OURS].run(asks, watch=True)
    kept = ("page_waste", "reservation_waste", "outside_kernels")
    return {"chunking": chunked, "prefix": shared, "cache": {key: told[key] for key in kept if key in told}}


def bandwidth(threads: int, repeat: int = 7) -> float:
    """Bytes a second that so many threads read: the best of some sums over memory far beyond the caches."""
    from time import perf_counter

    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    memory, best = torch.ones(256 << 20 >> 2), float("inf")
    for _ in range(repeat):
        begin = perf_counter()
        memory.sum()
        best = min(best, perf_counter() - begin)
    torch.set_num_threads(before)
    return memory.nbytes / best


def roof(bench: Bench) -> Found:
    """Bytes that a decode step has to read, over what memory gives in its time; and the share of a step that
    is spent outside the kernels."""
    found: Found = {}
    for count in bench.counts:
        runs = []
        for _ in range(bench.rounds):
            gives = bandwidth(bench.threads)
            asks = bench.prompts.batch(count, bench.prompt, bench.tokens)
            side = bench.sides[OURS]
            told, others = undisturbed(partial(side.run, asks, watch=True), [side.process.pid])
            row = {"others_cores": others, "bandwidth_bytes_per_s": gives}
            row |= {k: told[k] for k in ("outside_kernels", "decode_step_seconds") if k in told}
            if "weight_bytes" in told:
                row |= {"bytes_per_step": told["weight_bytes"] + told["cache_bytes"]}
                row["roof_share"] = row["bytes_per_step"] / row["decode_step_seconds"] / gives
            runs.append(row)
        found[str(count)] = medians(runs)
    return found


def start(bench: Bench) -> Found:
    """Seconds from the start of a process to the first token of an answer; once for every side."""
    from time import perf_counter

    found = {}
    for name, open_ in bench.open.items():
        print(f"start of {name}", file=sys.stderr)
        side = open_()
        try:
            side.run(bench.prompts.batch(1, 16, 1))
            found[name] = {"first_token_s": perf_counter() - side.began, "ready_s": side.ready_seconds}
        finally:
            side.close()
    return found


PARTS: dict[str, Callable[[Bench], Found]] = {
    "batch": batch,
    "prefill": prefill,
    "copying": copying,
    "saturation": saturation,
    "load": load,
    "switches": switches,
    "roof": roof,
    "start": start,
}
