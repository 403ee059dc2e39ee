"""Decode and prefill of the engine's executors: tokens per second at 1, 8 and 32 sequences, and how precise.

Every way runs the same steps on the same weights, in turns (forward, then backward), so that a machine with
other work slows all. The first round doesn't count; of the others the median is told, the lowest and the
highest. Precision is the mean KL divergence of the next token's distribution from the decoder in fp32, on a
text, and the ratio of perplexities; transformers runs a static batch in bf16, where it is installed.

    handbook bench decode [--model NAME] [--sequences 1,8,32] [--context 128] [--prefill 512] [--rounds 5]
                          [--threads 2] [--only WAY,WAY] [--json]

--json: ways: {NAME: {precision: {kl, perplexity_ratio}, decode_N and prefill: {tokens_per_s, low, high}}};
decode_N of kernels has roof: bytes of weights and cache that a step reads, over what memory gives meanwhile.
missing: lines that say what could not run; load_average: the machine's, before and after.
"""

import argparse
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

STEPS = 4  # of a turn
READ = 1 << 30  # bytes, more than any processor's own memory
SCORED = 256  # tokens of the text that precision is measured on, in each of PIECES
PIECES = 2
ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "book" / "architectures" / "transformer-deep-dive.md", Path(__file__))


class Way:
    """An executor with pages of its own, and works over them."""

    def __init__(
        self, model: Any, tokens: list[int], most: int, make: Callable[..., Any], dtype: Any
    ) -> None:
        from handbook.engine.store import PageStore

        self.tokens, self.size = tokens, 16
        self.executor = make(model, PageStore(model.config, -(-most // self.size), self.size, dtype=dtype))

    def run(self, sequences: int, start: int, count: int, room: int, drafts: int = 0) -> Any:
        """Logits of so many sequences, `count` tokens each from position `start`."""
        from handbook.engine.work import Batch, Work

        each = -(-room // self.size)
        works = []
        for n in range(sequences):
            begin = (n * 97 + start) % (len(self.tokens) - count)
            pages = range(n * each, (n + 1) * each)
            works.append(Work(n, start, self.tokens[begin : begin + count], pages, drafts, drafts + 1))
        return self.executor.run(Batch(tuple(works)))

    def decode(self, sequences: int, context: int) -> Callable[[], None]:
        room = context + STEPS
        self.run(sequences, 0, context, room)

        def steps() -> None:
            for step in range(STEPS):
                self.run(sequences, context + step, 1, room)

        return steps

    def prefill(self, length: int) -> Callable[[], None]:
        return lambda: self.run(1, 0, length, length)

    def read(self, sequences: int, context: int) -> int | None:
        """Bytes that a step reads at least, weights and cache; None for executors that don't say."""
        if not hasattr(self.executor, "embed") or not hasattr(self.executor, "nbytes"):
            return None
        store, middle = self.executor.store, context + STEPS // 2
        position = store.nbytes // store.keys.shape[1]
        return int(self.executor.nbytes - self.executor.embed.nbytes + sequences * middle * position)

    def scored(self, piece: int) -> Any:
        """Logits [SCORED, V] behind each token of a piece of the text."""
        from handbook.engine.work import Batch, Work

        ids = self.tokens[piece * SCORED : (piece + 1) * SCORED]
        return self.executor.run(Batch((Work(0, 0, ids, range(SCORED // self.size), SCORED - 1, SCORED),)))


class Theirs:
    """transformers' Llama in bf16, a static batch."""

    def __init__(self, model: Any, tokens: list[int]) -> None:
        import torch
        from generate import theirs_model  # type: ignore[import-not-found]

        self.tokens, self.model = tokens, theirs_model(model).to(torch.bfloat16)

    def _ids(self, sequences: int, start: int, count: int) -> Any:
        import torch

        begins = [(n * 97 + start) % (len(self.tokens) - count) for n in range(sequences)]
        return torch.tensor([self.tokens[begin : begin + count] for begin in begins])

    def decode(self, sequences: int, context: int) -> Callable[[], None]:
        import torch
        from transformers import DynamicCache

        with torch.inference_mode():
            cache = self.model(
                self._ids(sequences, 0, context), past_key_values=DynamicCache(), logits_to_keep=1
            ).past_key_values

        @torch.inference_mode()
        def steps() -> None:
            if (more := cache.get_seq_length() - context) > 0:
                cache.crop(-more)
            for step in range(STEPS):
                self.model(self._ids(sequences, context + step, 1), past_key_values=cache)

        return steps

    def prefill(self, length: int) -> Callable[[], None]:
        import torch

        @torch.inference_mode()
        def once() -> None:
            self.model(self._ids(1, 0, length), logits_to_keep=1)

        return once

    def scored(self, piece: int) -> Any:
        import torch

        with torch.inference_mode():
            ids = torch.tensor([self.tokens[piece * SCORED : (piece + 1) * SCORED]])
            return self.model(ids).logits[0].float()


def ways(model: Any, tokens: list[int], most: int, only: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """By name, and what can't run here with the reason."""
    import copy

    import torch

    from handbook.engine.executor import TorchExecutor
    from handbook.engine.fast import FastExecutor
    from handbook.engine.kernels.build import load
    from handbook.engine.twin import TwinExecutor

    kernels, fp32, bf16 = load(), torch.float32, torch.bfloat16

    def half() -> Any:
        return copy.deepcopy(model).to(bf16)

    def torch_way(packed: bool) -> Callable[..., Any]:
        return lambda model, store: TorchExecutor(model, store, packed)

    def fast(precision: Any) -> Callable[..., Any]:
        return lambda model, store: FastExecutor(model, store, kernels, precision)  # type: ignore[arg-type]

    made: dict[str, Callable[[], Any]] = {
        "plain-fp32": lambda: Way(model, tokens, most, torch_way(False), fp32),
        "packed-fp32": lambda: Way(model, tokens, most, torch_way(True), fp32),
        "packed-bf16": lambda: Way(half(), tokens, most, torch_way(True), bf16),
        "kernels-fp32": lambda: Way(model, tokens, most, fast("fp32"), fp32),
        "kernels-bf16": lambda: Way(model, tokens, most, fast("bf16"), bf16),
        "kernels-int8": lambda: Way(model, tokens, most, fast("int8"), bf16),
        "kernels-int4": lambda: Way(model, tokens, most, fast("int4"), bf16),
        "kernels-int8-kv8": lambda: Way(model, tokens, most, fast("int8"), torch.int8),
        "kernels-int4-kv8": lambda: Way(model, tokens, most, fast("int4"), torch.int8),
        "twin-int8": lambda: Way(model, tokens, most, TwinExecutor, bf16),
        "transformers-bf16": lambda: Theirs(half(), tokens),
    }
    if unknown := set(only) - set(made):
        raise SystemExit(f"No way {', '.join(sorted(unknown))}. Ways: {', '.join(made)}.")
    found, missing = {}, []
    for name, make in made.items():
        if only and name not in only:
            continue
        try:
            if name.startswith("kernels") and isinstance(kernels, str):
                raise ValueError(kernels)
            if name.startswith("transformers") and importlib.util.find_spec("transformers") is None:
                raise ValueError("transformers is not installed")
            found[name] = make()
        except ValueError as error:
            missing.append(f"{name}: {error}")
    return found, missing


def in_turns(runs: dict[str, Callable[[], None]], rounds: int, tokens: int) -> dict[str, dict[str, float]]:
    """Tokens per second of each."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name in list(runs) if turn % 2 else reversed(list(runs)):
            begin = perf_counter()
            runs[name]()
            if turn:
                rates[name].append(tokens / (perf_counter() - begin))
    return {
        name: {"tokens_per_s": statistics.median(each), "low": min(each), "high": max(each)}
        for name, each in rates.items()
    }


def bandwidth(threads: int) -> float | None:
    """Bytes a second that this machine's memory gives to a loop that only reads; None without a compiler."""
    import torch

    from handbook.engine.kernels.build import load

    kernels = load()
    if isinstance(kernels, str):
        return None
    memory, best = torch.empty(READ, dtype=torch.uint8), 0.0
    kernels.large_pages(memory.data_ptr(), READ)
    memory.fill_(0)
    for _ in range(8):
        begin = perf_counter()
        kernels.read_all(memory.data_ptr(), READ, threads)
        best = max(best, READ / (perf_counter() - begin))
    return best


def precision(model: Any, found: dict[str, Any], tokens: list[int]) -> dict[str, dict[str, float]]:
    """KL in nats per token, and perplexity over that of the decoder in fp32."""
    import torch

    sums = {name: [0.0, 0.0] for name in found}
    with torch.inference_mode():
        for piece in range(PIECES):
            ids = torch.tensor([tokens[piece * SCORED : (piece + 1) * SCORED]])
            right = model(ids)[0].log_softmax(dim=-1)
            for name, way in found.items():
                got = way.scored(piece).float().log_softmax(dim=-1)
                sums[name][0] += float((right.exp() * (right - got)).sum(dim=-1).mean()) / PIECES
                gain = (right - got)[:-1].gather(1, ids[0, 1:, None])
                sums[name][1] += float(gain.mean()) / PIECES
    return {
        name: {"kl": kl, "perplexity_ratio": float(torch.tensor(gain).exp())}
        for name, (kl, gain) in sums.items()
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    import os

    import torch

    from handbook.hardware.probe import probe
    from handbook.model.load import load_model
    from handbook.settings import load

    loaded = load_model(options.model, load(threads=options.threads))
    text = next(path for path in TEXT if path.is_file()).read_text(encoding="utf-8")
    tokens = loaded.tokenizer.encode(text, special=False)
    counts = [int(n) for n in options.sequences.split(",")]
    each = -(-(options.context + STEPS) // 16) * 16
    most = max(max(counts) * each, options.prefill, SCORED)
    found, missing = ways(loaded.model, tokens, most, [way for way in options.only.split(",") if way])
    before, rate_of_memory = os.getloadavg()[0], bandwidth(options.threads)
    results: dict[str, dict[str, Any]] = {name: {} for name in found}
    for label, part in precision(loaded.model, found, tokens).items():
        results[label]["precision"] = part
    for count in counts:
        print(f"decode, {count} sequences", file=sys.stderr)
        runs = {name: way.decode(count, options.context) for name, way in found.items()}
        for name, rate in in_turns(runs, options.rounds, count * STEPS).items():
            results[name][f"decode_{count}"] = rate
            if (
                rate_of_memory
                and isinstance(found[name], Way)
                and (size := found[name].read(count, options.context))
            ):
                rate["roof"] = rate["tokens_per_s"] / count * size / rate_of_memory
    print(f"prefill, {options.prefill} tokens", file=sys.stderr)
    runs = {name: way.prefill(options.prefill) for name, way in found.items()}
    for name, rate in in_turns(runs, options.rounds, options.prefill).items():
        results[name]["prefill"] = rate
    return {
        "model": options.model,
        "context": options.context,
        "prefill_tokens": options.prefill,
        "rounds": options.rounds,
        "threads": torch.get_num_threads(),
        "load_average": [before, os.getloadavg()[0]],
        "ways": results,
        "missing": missing,
        "memory_bytes_per_s": rate_of_memory,
        "torch": torch.__version__,
        "machine": probe().label,
        "date": date.today().isoformat(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench decode", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--sequences", default="1,8,32", help="how many at once, each measured")
    parser.add_argument("--context", type=int, default=128, help="tokens that each sequence has behind it")
    parser.add_argument("--prefill", type=int, default=512, help="tokens of the prompt")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="some ways only, with commas between")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.context < 1 or options.prefill < 1 or options.rounds < 1:
        parser.error("--context, --prefill and --rounds are at least 1")
    found = measure(options)
    if options.json:
        print(json.dumps({"schema": "handbook.bench.decode/1", **found}, indent=2))
        return 0
    low, high = found["load_average"]
    print(f"{found['model']}, {found['threads']} threads, context {found['context']}; tokens/s, medians")
    print(f"{found['machine']}; torch {found['torch']}; load {low:.1f} before, {high:.1f} after")
    for name, row in found["ways"].items():
        rates = "  ".join(
            f"{part} {cell['tokens_per_s']:7.1f} ({cell['low']:.0f} to {cell['high']:.0f})"
            + (f" {cell['roof']:.2f} of the roof" if "roof" in cell else "")
            for part, cell in row.items()
            if part != "precision"
        )
        told = row["precision"]
        print(f"{name:18} KL {told['kl']:.5f}, perplexity x{told['perplexity_ratio']:.4f};  {rates}")
    if found["memory_bytes_per_s"]:
        print(f"memory gives {found['memory_bytes_per_s'] / 1e9:.1f} GB/s; roof: a step's bytes at that rate")
    for line in found["missing"]:
        print(f"not run: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
