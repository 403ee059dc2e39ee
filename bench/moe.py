"""Seconds for one mixture-of-experts layer: plain loop, grouped by expert, fused, and transformers' block.

The same weights and tokens for all, router included. Three jobs: decode (one token), prefill (many), train
(many, forward and backward). Turns alternate (plain, grouped, theirs, theirs, grouped, plain, ...), so that a
machine that warms up or has other work slows all. The first round doesn't count. A ratio says how many times
longer the other one takes than grouped, each round against itself.

    handbook bench moe [--dim 256] [--hidden 128] [--experts 64] [--k 8] [--tokens 512] [--rounds 9]
        [--threads N] [--json]
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import date
from time import perf_counter
from typing import Any

JOBS = ("decode", "prefill", "train")
Forward = Callable[[Any], Any]  # tokens [N, C] -> [N, C]


def contenders(options: argparse.Namespace) -> tuple[dict[str, Forward], list[Any]]:
    """Forward passes by name, over the same random weights, and all their parameters."""
    import torch
    from transformers import OlmoeConfig
    from transformers.models.olmoe.modeling_olmoe import OlmoeSparseMoeBlock

    from handbook.model.moe import MoE, run_fused, run_grouped, run_plain

    torch.manual_seed(0)
    ours = MoE(options.dim, options.hidden, options.experts, options.k)
    weights = (ours.experts.gate, ours.experts.up, ours.experts.down)

    def with_router(run: Callable[..., Any]) -> Forward:
        return lambda x: run(x, ours.router(x), *weights)

    ways = {"plain": run_plain, "grouped": run_grouped, "fused": run_fused}
    forwards = {name: with_router(run) for name, run in ways.items()}
    parameters = list(ours.parameters())
    for kind in ("eager", "grouped_mm"):
        config = OlmoeConfig(
            hidden_size=options.dim,
            intermediate_size=options.hidden,
            num_experts=options.experts,
            num_experts_per_tok=options.k,
            norm_topk_prob=True,
        )
        config._experts_implementation = kind
        block = OlmoeSparseMoeBlock(config)
        with torch.no_grad():
            block.gate.weight.copy_(ours.router.weight)
            block.experts.gate_up_proj.copy_(torch.cat(weights[:2], dim=1))
            block.experts.down_proj.copy_(weights[2])
        forwards[f"transformers {kind}"] = lambda x, block=block: block(x[None])[0]
        parameters += block.parameters()
    return forwards, parameters


def in_turns(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every run in every round."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name in list(runs) if turn % 2 else reversed(runs):
            begin = perf_counter()
            runs[name]()
            if turn:
                times[name].append(perf_counter() - begin)
    return times


def measure(options: argparse.Namespace) -> dict[str, Any]:
    import torch
    import transformers

    from handbook.hardware.probe import probe

    torch.set_num_threads(options.threads or torch.get_num_threads())
    forwards, parameters = contenders(options)
    tokens = torch.randn(options.tokens, options.dim)
    with torch.no_grad():
        outputs = {name: forward(tokens) for name, forward in forwards.items()}
    plain = outputs["plain"]
    largest = max(((y - plain).abs().max() / plain.abs().max()).item() for y in outputs.values())

    def infer(forward: Forward, x: torch.Tensor) -> None:
        with torch.no_grad():
            forward(x)

    def train(forward: Forward, x: torch.Tensor) -> None:
        for parameter in parameters:
            parameter.grad = None
        forward(x).square().mean().backward()

    found: dict[str, Any] = {
        **{name: getattr(options, name) for name in ("dim", "hidden", "experts", "k", "tokens", "rounds")},
        "threads": torch.get_num_threads(),
        "largest_difference": largest,
    }
    for job in JOBS:
        work, x = (train if job == "train" else infer), tokens[:1] if job == "decode" else tokens
        runs = {
            name: lambda forward=forward, work=work, x=x: work(forward, x)
            for name, forward in forwards.items()
        }
        times = in_turns(runs, options.rounds)
        found[job] = {name: row(seconds, times["grouped"]) for name, seconds in times.items()}
        print(f"{job}: done", file=sys.stderr)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    return {**found, **versions, "machine": probe().label, "date": date.today().isoformat()}


def row(seconds: list[float], grouped: list[float]) -> dict[str, float]:
    ratios = [a / b for a, b in zip(seconds, grouped, strict=True)]
    return {
        "milliseconds": 1000 * statistics.median(seconds),
        "over_grouped": statistics.median(ratios),
        "over_grouped_low": min(ratios),
        "over_grouped_high": max(ratios),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench moe", description=__doc__.partition("\n")[0])
    parser.add_argument("--dim", type=int, default=256, help="width of a token")
    parser.add_argument("--hidden", type=int, default=128, help="hidden width of one expert")
    parser.add_argument("--experts", type=int, default=64)
    parser.add_argument("--k", type=int, default=8, help="experts for each token")
    parser.add_argument("--tokens", type=int, default=512, help="tokens of prefill and training")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if min(options.dim, options.hidden, options.k, options.tokens, options.rounds) < 1:
        parser.error("--dim, --hidden, --k, --tokens and --rounds are at least 1")
    if options.k > options.experts:
        parser.error("--k is at most --experts")
    found = measure(options)
    if options.json:
        print(json.dumps({"schema": "handbook.bench.moe/1", **found}, indent=2))
        return 0
    size = f"{options.experts} experts of {options.dim} x {options.hidden}, {options.k} a token"
    print(f"{size}, {options.tokens} tokens, {found['threads']} threads")
    print(f"{found['machine']}; torch {found['torch']}, transformers {found['transformers']}")
    for job in JOBS:
        for name, values in found[job].items():
            print(
                f"{job:8} {name:24} {values['milliseconds']:9.2f} ms, "
                f"{values['over_grouped']:6.2f} times grouped "
                f"({values['over_grouped_low']:.2f} to {values['over_grouped_high']:.2f})"
            )
    print(f"largest difference over largest output: {found['largest_difference']:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
