"""QLoRA beside LoRA: what weights and optimizer hold, and what a step takes.

One model, one packed row of text, the same adapter (all linear layers of attention and network). Bytes are
those of the tensors that stay from step to step, counted after a step (`train.qlora.held`); activations come
on top, and are the same. Kinds take turns, the first round doesn't count, of the others the median is told.

    lora         base in bf16, factors and optimizer's state in fp32
    qlora        base in NF4 with double quantization, embedding and norms in bf16, the rest as lora
    qlora-small  as qlora, factors in bf16 and the optimizer's state in 8 bits

    handbook bench qlora [--model NAME] [--rank 16] [--tokens 2048] [--documents 4] [--rounds 3] [--threads 2]
                         [--kinds lora,qlora,qlora-small] [--json]

--json: kinds: {KIND: {computed, bytes: {quantized, embedding, rest, factors, gradients, optimizer},
held_bytes, held_over_lora, seconds: {median, low, high}, seconds_over_lora, cpu_seconds, cpu_over_lora,
first_loss, last_loss}}; held is weights and optimizer without gradients; cpu_seconds is what the processor
worked, which with one thread beside busy neighbours is still right; last_loss that of the last step on the
same row; load_average.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

KINDS = ("lora", "qlora", "qlora-small")
ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "book" / "architectures" / "transformer-deep-dive.md", Path(__file__))


class Side:
    """One kind: its model, its optimizer, and steps on one row."""

    def __init__(self, kind: str, name: str, rank: int, steps: int) -> None:
        import torch

        from handbook.model.load import load_model
        from handbook.train.config import TrainConfig
        from handbook.train.loop import begin
        from handbook.train.lora import LoRAConfig, add_lora
        from handbook.train.precision import prepare
        from handbook.train.qlora import add_qlora

        self.loaded = load_model(name)
        model, small = self.loaded.model, kind == "qlora-small"
        config = LoRAConfig(r=rank, alpha=2 * rank, dtype="bf16" if small else "fp32")
        if kind == "lora":
            add_lora(model.to(torch.bfloat16), config)
        else:
            add_qlora(model, config)
        self.computed = prepare(model, "bf16")
        optimizer = "adamw8bit" if small else "adamw"
        self.config = TrainConfig(steps=steps, rate=1e-4, warmup=0, optimizer=optimizer, precision="bf16")
        self.state = begin(model, self.config)
        self.seconds: list[float] = []
        self.cpu: list[float] = []
        self.losses: list[float] = []

    def step(self, row: Any) -> None:
        from handbook.train.loop import advance
        from handbook.train.sft import Sft

        started, used = perf_counter(), process_time()
        point = advance(self.state, self.config, [row], Sft())
        self.seconds.append(perf_counter() - started)
        self.cpu.append(process_time() - used)
        self.losses.append(point.losses["total"])

    def told(self) -> dict[str, Any]:
        from handbook.train.qlora import held

        found, seconds = held(self.state.model, self.state.optimizer), self.seconds[1:] or self.seconds
        return {
            "computed": self.computed,
            "bytes": asdict(found),
            "held_bytes": found.weights_and_optimizer,
            "seconds": {"median": statistics.median(seconds), "low": min(seconds), "high": max(seconds)},
            "cpu_seconds": statistics.median(self.cpu[1:] or self.cpu),
            "first_loss": self.losses[0],
            "last_loss": self.losses[-1],
        }


def row_of(tokenizer: Any, tokens: int, documents: int) -> Any:
    from handbook.train.examples import Example
    from handbook.train.packing import pack

    text = next(path for path in TEXT if path.is_file()).read_text(encoding="utf-8")
    ids, each = tokenizer.encode(text, special=False), tokens // documents
    pieces = [ids[start : start + each] for start in range(0, documents * each, each)]
    return pack([Example(tuple(piece), (True,) * len(piece)) for piece in pieces])


def measured(
    kinds: Sequence[str], model: str, rank: int, tokens: int, documents: int, rounds: int
) -> dict[str, Any]:
    sides = {kind: Side(kind, model, rank, rounds + 1) for kind in kinds}
    row = row_of(next(iter(sides.values())).loaded.tokenizer, tokens, documents)
    for turn in range(rounds + 1):
        for kind in kinds if turn % 2 else reversed(kinds):
            sides[kind].step(row)
    found = {kind: side.told() for kind, side in sides.items()}
    for told in found.values():
        if "lora" in found:
            told["held_over_lora"] = told["held_bytes"] / found["lora"]["held_bytes"]
            told["seconds_over_lora"] = told["seconds"]["median"] / found["lora"]["seconds"]["median"]
            told["cpu_over_lora"] = told["cpu_seconds"] / found["lora"]["cpu_seconds"]
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench qlora", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=2048, help="in the row")
    parser.add_argument("--documents", type=int, default=4, help="of equal length in it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    kinds = tuple(options.kinds.split(","))
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        parser.error(f"--kinds should be of {', '.join(KINDS)}, got {', '.join(unknown)}")

    import torch

    torch.set_num_threads(options.threads)
    numbers = options.rank, options.tokens, options.documents, options.rounds
    found = measured(kinds, options.model, *numbers)
    told = {
        "benchmark": "qlora",
        "date": date.today().isoformat(),
        "model": options.model,
        "rank": options.rank,
        "tokens": options.tokens,
        "documents": options.documents,
        "threads": options.threads,
        "kinds": found,
        "load_average": os.getloadavg()[0],
    }
    print(json.dumps(told, indent=2) if options.json else text_of(told))
    return 0


def text_of(told: dict[str, Any]) -> str:
    lines = [
        f"{told['model']}, rank {told['rank']}, {told['tokens']} tokens a step, {told['threads']} threads"
    ]
    for kind, found in told["kinds"].items():
        parts = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in found["bytes"].items())
        names = ("held", "seconds", "cpu")
        ratio, slower, work = (found.get(f"{name}_over_lora", float("nan")) for name in names)
        lines += [
            f"{kind:12} weights and optimizer {found['held_bytes'] / 1e6:.1f} MB ({ratio:.2f} of lora's)",
            f"{'':12} MB: {parts}; {found['computed']}",
            f"{'':12} step {found['seconds']['median']:.2f} s ({slower:.2f}), of the processor "
            f"{found['cpu_seconds']:.2f} s ({work:.2f}); loss {found['first_loss']:.3f} to "
            f"{found['last_loss']:.3f}",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
