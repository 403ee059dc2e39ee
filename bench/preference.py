"""DPO and ORPO on pairs: what is preferred held-out, and how far from the reference that goes, over beta.

The model gets a LoRA for each run and loses it again. A seed splits the pairs, orders them and begins the
adapter; all methods see the same split. Held-out pairs are read (`train.margins`), and the policy answers
some of their prompts at temperature 1: how long its answers are, and the KL from the reference on what it
says itself (the k3 estimator, Schulman 2020). The base is measured as they are. Means over seeds, with
Student's 95 % interval, and paired differences from the base.

    handbook bench preference --data FILE [--model smollm2-135m-instruct] [--betas 0.05,0.1,0.3]
        [--weights 0.1,1] [--seeds 3] [--steps 30] [--length 512] [--threads N] [--json]
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

# 97.5th percentiles of Student's t by degrees of freedom
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Method:
    """A run's name, and what its objective is told: beta of dpo, weight of the odds ratio of orpo."""

    kind: str
    value: float

    @property
    def name(self) -> str:
        return f"{self.kind} {self.value:g}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench preference", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="pairs, in any format that training reads")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--betas", type=numbers, default=(0.05, 0.1, 0.3), help="of DPO")
    parser.add_argument("--weights", type=numbers, default=(0.1, 1.0), help="of ORPO's odds ratio")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rate", type=float, default=2e-4, help="peak, of all methods")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=4096, help="in a row of pairs")
    parser.add_argument("--rows", type=int, default=2, help="in a step")
    parser.add_argument("--length", type=int, default=512, help="tokens that are kept of prompt and answer")
    parser.add_argument("--least", type=int, default=32, help="tokens that the cut has to leave of an answer")
    parser.add_argument("--pairs", type=int, help="the first of the file's; default: all")
    parser.add_argument("--held-out", type=int, default=64, help="pairs")
    parser.add_argument("--prompts", type=int, default=32, help="held-out prompts to answer")
    parser.add_argument("--most", type=int, default=128, help="tokens of such an answer")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    counts = ("seeds", "steps", "rank", "rows", "least", "held_out", "prompts", "most")
    if min(getattr(options, name) for name in counts) < 1:
        parser.error(f"{', '.join('--' + name.replace('_', '-') for name in counts)} are at least 1")
    if options.tokens < 2 * options.length:
        parser.error(f"--tokens is at least twice --length: a row holds a pair, got {options.tokens}")
    found = measure(options)
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    print(f"{found['machine']}, {found['date']}: {found['pairs']} pairs, {options.held_out} of them held out")
    for name, row in found["methods"].items():
        shown = ("accuracy", "likelier", "margin", "kl", "sampled_kl", "sampled_tokens", "seconds")
        print(f"{name:<10} " + "  ".join(f"{key} {written(row[key])}" for key in shown))
    return 0


def numbers(text: str) -> tuple[float, ...]:
    values = tuple(float(part) for part in text.split(",") if part)
    if not all(value > 0 for value in values):
        raise argparse.ArgumentTypeError(f"expected numbers above 0, got {text}")
    return values


def measure(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from handbook import settings
    from handbook.hardware.probe import probe
    from handbook.model.load import load_model

    torch.set_num_threads(options.threads or torch.get_num_threads())
    loaded = load_model(options.model, settings.load())
    pairs, dropped = encoded(loaded, options)
    if len(pairs) <= options.held_out:
        raise SystemExit(
            f"{len(pairs)} pairs are left of {options.data}; {options.held_out} are to be held out"
        )
    methods = [Method("dpo", beta) for beta in options.betas]
    methods += [Method("orpo", weight) for weight in options.weights]
    runs: dict[str, list[dict[str, float]]] = {"base": [], **{method.name: [] for method in methods}}
    for seed in range(options.seeds):
        train, held_out = split(pairs, options.held_out, seed)
        prompts = [prompt_of(pair) for pair in held_out[: options.prompts]]
        for name, row in seed_runs(loaded, methods, train, held_out, prompts, options, seed):
            runs[name].append(row)
            print(f"seed {seed}, {name}: {row}", file=sys.stderr)
    return {
        "schema": "handbook.bench.preference/1",
        **{key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()},
        "data": options.data.name,
        "pairs": len(pairs),
        "dropped": dropped,
        "threads": torch.get_num_threads(),
        "methods": {name: summary(rows, runs["base"]) for name, rows in runs.items()},
        "torch": torch.__version__,
        "machine": probe().label,
        "date": date.today().isoformat(),
    }


def encoded(loaded: Any, options: argparse.Namespace) -> tuple[list[Any], int]:
    """Pairs with their log-probabilities under the base, cut to length, and how many were left out: those of
    which the cut leaves too little, or the same of both."""
    from handbook.errors import DataError
    from handbook.train.examples import encode_pair
    from handbook.train.formats import read_pairs
    from handbook.train.preference import ExamplePair, with_reference

    kept: list[ExamplePair] = []
    records = read_pairs(options.data)[: options.pairs]
    for record in records:
        try:
            chosen, rejected = encode_pair(loaded, record, options.length)
        except DataError:
            continue
        whole = len(chosen) < options.length, len(rejected) < options.length
        if all(w or e.weight >= options.least for w, e in zip(whole, (chosen, rejected), strict=True)):
            kept.append(ExamplePair(chosen, rejected))
    started = perf_counter()
    with adapted(loaded.model, options, seed=0):
        known = with_reference(loaded.model, kept, options.tokens, options.precision)
    tokens = sum(map(len, known))
    print(f"reference: {tokens} tokens in {perf_counter() - started:.1f} s", file=sys.stderr)
    return known, len(records) - len(kept)


@contextmanager
def adapted(model: Any, options: argparse.Namespace, seed: int) -> Iterator[None]:
    """A new adapter, and the model ready to train with it; afterwards it is the base again. The reference is
    computed in one, too: bf16 rounds in another way without."""
    from handbook.train.lora import LoRAConfig, add_lora, remove_lora
    from handbook.train.precision import prepare

    add_lora(model, LoRAConfig(r=options.rank, alpha=2.0 * options.rank), seed)
    try:
        prepare(model, options.precision)
        yield
    finally:
        remove_lora(model)


def split(pairs: Sequence[Any], held_out: int, seed: int) -> tuple[list[Any], list[Any]]:
    """To train on, and held out: drawn by seed."""
    order = list(range(len(pairs)))
    Random(seed).shuffle(order)
    return [pairs[index] for index in order[held_out:]], [pairs[index] for index in order[:held_out]]


def prompt_of(pair: Any) -> list[int]:
    """The tokens before the answer."""
    first = next(place for place, counts in enumerate(pair.chosen.counted) if counts)
    return list(pair.chosen.tokens[:first])


def seed_runs(
    loaded: Any,
    methods: Sequence[Method],
    train: Sequence[Any],
    held_out: Sequence[Any],
    prompts: Sequence[Sequence[int]],
    options: argparse.Namespace,
    seed: int,
) -> Iterator[tuple[str, dict[str, float]]]:
    """The base and each method, measured on one split; the model is the base again afterwards."""
    from handbook.train.loop import TrainConfig, begin, run
    from handbook.train.packing import Rows
    from handbook.train.preference import Dpo, Orpo, pack_pairs

    yield "base", measured(loaded, held_out, prompts, options, seed, base=True)
    for method in methods:
        objective: Any = Dpo(method.value) if method.kind == "dpo" else Orpo(method.value)
        with adapted(loaded.model, options, seed):
            config = TrainConfig(
                steps=options.steps,
                rate=options.rate,
                warmup=max(1, options.steps // 10),
                decay=0.0,
                precision=options.precision,
            )
            rows = Rows(train, pack_pairs, options.tokens, options.rows, seed)
            started = perf_counter()
            last = list(run(begin(loaded.model, config), config, rows, objective))[-1]
            seconds = perf_counter() - started
            row = measured(loaded, held_out, prompts, options, seed)
        yield method.name, row | {"train_loss": last.losses["total"], "seconds": seconds}


def measured(
    loaded: Any,
    held_out: Sequence[Any],
    prompts: Sequence[Sequence[int]],
    options: argparse.Namespace,
    seed: int,
    base: bool = False,
) -> dict[str, float]:
    """What `train.margins` says, and how the policy's own answers are."""
    from handbook.train.margins import held_out_pairs

    reference = loaded.model if base else None
    seen = held_out_pairs(loaded.model, held_out, reference, options.tokens, options.precision)
    row = {field.name: float(getattr(seen, field.name)) for field in fields(seen)}
    return row | answered(loaded, prompts, options, seed, base)


def answered(
    loaded: Any, prompts: Sequence[Sequence[int]], options: argparse.Namespace, seed: int, base: bool
) -> dict[str, float]:
    """Answers drawn from the policy: their mean length, the share that ends by itself, and the KL from the
    reference on them, nats a token: the mean of e^-d - 1 + d, d = log (policy / reference) of a token."""
    import torch

    from handbook.train.examples import Example
    from handbook.train.logprobs import row_logprobs
    from handbook.train.packing import IGNORE, bins, pack
    from handbook.train.preference import as_reference
    from handbook.train.rollouts import Voice

    longest = max(map(len, prompts)) + options.most
    answers = [drawn[0] for drawn in Voice(loaded).answers(prompts, options.most, seed=seed)]
    lengths = [len(answer.tokens) for answer in answers]
    said = {
        "sampled_tokens": statistics.fmean(lengths),
        "sampled_ended": statistics.fmean(float(answer.whole) for answer in answers),
    }
    if base:
        return said | {"sampled_kl": 0.0}
    examples = [
        Example((*prompt, *answer.tokens), (False,) * len(prompt) + (True,) * len(answer.tokens))
        for prompt, answer in zip(prompts, answers, strict=True)
        if answer.tokens
    ]
    total = 0.0
    with torch.no_grad():
        for row in bins(
            [len(example) for example in examples], max(options.tokens, longest), seed=0, epoch=0
        ):
            packed = pack([examples[index] for index in row])
            policy = row_logprobs(loaded.model, packed)
            with as_reference(loaded.model):
                apart = (policy - row_logprobs(loaded.model, packed))[packed.targets != IGNORE]
            total += (torch.expm1(-apart) + apart).sum().item()
    return said | {"sampled_kl": total / sum(lengths)}


def summary(rows: Sequence[dict[str, float]], base: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Each figure over seeds, and its difference from the base's of the same seed."""
    found: dict[str, Any] = {key: spread([row[key] for row in rows]) for key in rows[0]}
    found.setdefault("seconds", spread([0.0] * len(rows)))
    apart = {
        key: spread([row[key] - other[key] for row, other in zip(rows, base, strict=True)])
        for key in base[0]
        if key != "pairs"
    }
    return {**found, "over_base": apart}


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The mean, Student's 95 % interval of it (None for one value), and the values."""
    mean = statistics.fmean(values)
    half = None
    if 1 < len(values) <= len(STUDENT) + 1:
        half = STUDENT[len(values) - 2] * statistics.stdev(values) / len(values) ** 0.5
    return {"mean": mean, "half_width": half, "values": list(values)}


def written(found: dict[str, Any]) -> str:
    return f"{found['mean']:.3f}" + ("" if found["half_width"] is None else f" ± {found['half_width']:.3f}")


if __name__ == "__main__":
    sys.exit(main())
