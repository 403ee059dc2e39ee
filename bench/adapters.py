"""Adapters side by side: tokens per second of a batch, with several LoRA adapters in it over none.

Random adapters of one rank on all linear layers of attention and network; of N adapters, text n has number
n mod N. One engine for each executor holds all of them; batches without and with take turns (forward, then
backward), the first round doesn't count, of the others the median is told. Prompts are new in every turn, so
that nothing is found in the cache. reading: prompt tokens per second of steps that read; decode: of steps in
which every text goes on by one token.

    handbook bench adapters [--model NAME] [--on kernels-int8,kernels-fp32,torch-fp32] [--texts 8]
                            [--adapters 1,4,8] [--rank 16] [--prompt 128] [--tokens 32] [--rounds 5]
                            [--threads 2] [--json]

--json: on: {EXECUTOR: {"0" and each number of adapters: {decode and reading: {tokens_per_s, low, high,
ratio}}}}, ratio over no adapters, the median of each round's own; adapter_bytes: of one, in fp32;
load_average; missing: what could not run.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "book" / "architectures" / "transformer-deep-dive.md", Path(__file__))
KERNELS = {f"kernels-{precision}": precision for precision in ("fp32", "bf16", "int8", "int4")}


class Texts:
    """An engine, and batches through it."""

    def __init__(self, loaded: Any, precision: Any, most: int, **sizes: int) -> None:
        from handbook.engine.engine import Engine
        from handbook.engine.work import Limits
        from handbook.lab.tuning.adapters import random_adapter

        self.texts, self.prompt, self.tokens = sizes["texts"], sizes["prompt"], sizes["tokens"]
        self.engine = Engine(loaded, 512 << 20, 16, Limits(), "off", precision=precision)
        for number in range(most):
            self.engine.load_adapter(str(number), random_adapter(loaded.model, number, sizes["rank"]))
        text = next(path for path in TEXT if path.is_file()).read_text(encoding="utf-8")
        self.ids, self.begin = loaded.tokenizer.encode(text, special=False), 0

    def run(self, adapters: int) -> tuple[float, float]:
        """Tokens per second: of reading, of decode."""
        from handbook.records import Sampling

        engine = self.engine
        sampling = Sampling(max_tokens=self.tokens, temperature=0.0)
        for n in range(self.texts):
            self.begin = (self.begin + 61) % (len(self.ids) - self.prompt)
            ids = [n + self.begin % 251, *self.ids[self.begin : self.begin + self.prompt - 1]]
            name = str(n % adapters) if adapters else None
            engine.ask(str(n), ids, sampling, lambda piece: None, past_stops=True, adapter=name)
        spent, count = {True: 0.0, False: 0.0}, {True: 0, False: 0}
        while engine.busy:
            begin = perf_counter()
            batch = engine.step()
            reads = batch.tokens > len(batch.work)
            spent[reads] += perf_counter() - begin
            count[reads] += batch.tokens
        return count[True] / spent[True], count[False] / spent[False]


def executors(loaded: Any, only: Sequence[str], **sizes: int) -> tuple[dict[str, Texts], list[str]]:
    """By name, and what can't run here with the reason."""
    from handbook.engine.fast import FastExecutor
    from handbook.engine.kernels.build import load

    kernels = load()
    found: dict[str, Texts] = {}
    missing = []
    for name in only:
        if name in KERNELS and isinstance(kernels, str):
            missing.append(f"{name}: {kernels}")
            continue
        found[name] = Texts(loaded, KERNELS.get(name), **sizes)
        assert isinstance(found[name].engine.executor, FastExecutor) == (name in KERNELS)
    return found, missing


def in_turns(texts: Texts, counts: Sequence[int], rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """By number of adapters."""
    rates: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    for turn in range(rounds + 1):
        for count in counts if turn % 2 else reversed(counts):
            found = texts.run(count)
            if turn:
                rates[count].append(found)
    told: dict[str, dict[str, dict[str, float]]] = {}
    for count, each in rates.items():
        told[str(count)] = {}
        for part, name in enumerate(("reading", "decode")):
            some = [rate[part] for rate in each]
            ratios = [rate[part] / base[part] for rate, base in zip(each, rates[0], strict=True)]
            told[str(count)][name] = {
                "tokens_per_s": statistics.median(some),
                "low": min(some),
                "high": max(some),
                "ratio": statistics.median(ratios),
            }
    return told


def measure(options: argparse.Namespace) -> dict[str, Any]:
    import os

    import torch

    from handbook.hardware.probe import probe
    from handbook.lab.tuning.adapters import random_adapter
    from handbook.model.load import load_model
    from handbook.settings import load

    loaded = load_model(options.model, load(threads=options.threads))
    counts = [0, *(int(n) for n in options.adapters.split(","))]
    sizes = {name: getattr(options, name) for name in ("texts", "prompt", "tokens", "rank")}
    before = os.getloadavg()[0]
    found, missing = executors(loaded, options.on.split(","), most=max(counts), **sizes)
    results = {}
    for name, texts in found.items():
        print(name, file=sys.stderr)
        results[name] = in_turns(texts, counts, options.rounds)
    one = random_adapter(loaded.model, 0, options.rank)
    return {
        "model": options.model,
        **sizes,
        "rounds": options.rounds,
        "threads": torch.get_num_threads(),
        "load_average": [before, os.getloadavg()[0]],
        "adapter_bytes": 4 * one.parameters,
        "on": results,
        "missing": missing,
        "torch": torch.__version__,
        "machine": probe().label,
        "date": date.today().isoformat(),
    }


def told(found: dict[str, Any]) -> list[str]:
    low, high = found["load_average"]
    lines = [
        f"{found['model']}, {found['threads']} threads, {found['texts']} texts of {found['prompt']} + "
        f"{found['tokens']} tokens, adapters of rank {found['rank']}, {found['adapter_bytes'] / 1e6:.1f} MB "
        "each in fp32; tokens/s, medians",
        f"{found['machine']}; torch {found['torch']}; load {low:.1f} before, {high:.1f} after",
    ]
    for name, rows in found["on"].items():
        for count, parts in rows.items():
            rates = "  ".join(
                f"{part} {cell['tokens_per_s']:7.1f} ({cell['low']:.0f} to {cell['high']:.0f}), "
                f"{cell['ratio']:.2f}"
                for part, cell in parts.items()
            )
            lines.append(f"{name:13} {count:>3} adapters: {rates}")
    return lines + [f"not run: {line}" for line in found["missing"]]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench adapters", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--on", default="kernels-int8,kernels-fp32,torch-fp32", help="executors")
    parser.add_argument("--texts", type=int, default=8, help="written side by side")
    parser.add_argument("--adapters", default="1,4,8", help="different ones in a batch, each measured")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=128, help="tokens")
    parser.add_argument("--tokens", type=int, default=32, help="written, of each text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if min(options.texts, options.rank, options.tokens, options.rounds, options.prompt - 1) < 1:
        parser.error("--texts, --rank, --tokens and --rounds are at least 1, --prompt at least 2")
    if unknown := set(options.on.split(",")) - {"torch-fp32", *KERNELS}:
        parser.error(f"no executor {', '.join(sorted(unknown))}; there is torch-fp32, {', '.join(KERNELS)}")
    found = measure(options)
    if options.json:
        print(json.dumps({"schema": "handbook.bench.adapters/1", **found}, indent=2))
    else:
        print("\n".join(told(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
