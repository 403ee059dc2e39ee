"""Our training loop over LoRA: one optimizer step for each line that comes in; lines out as `on_trl`.

A step is `loop.advance`: forward, backward, clipping, optimizer; the batch is packed before it and isn't
counted.
"""

import json
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from time import process_time
from typing import Any

from memory import peak, resident


def row_of(options: Namespace, step: int) -> Any:
    """The micro-batch of a step."""
    from steps import pairs, texts

    from handbook.train.examples import Example
    from handbook.train.packing import pack
    from handbook.train.preference import ExamplePair, pack_pairs

    def example(prompt: list[int], answer: list[int]) -> Example:
        counted = (False,) * len(prompt) + (True,) * len(answer)
        return Example((*prompt, *answer), counted)

    if options.method == "sft":
        return pack([example([], ids) for ids in texts(options, step)])
    return pack_pairs(
        [
            ExamplePair(example(p, chosen), example(p, rejected))
            for p, chosen, rejected in pairs(options, step)
        ]
    )


def main() -> None:
    from steps import arguments

    parser = arguments(ArgumentParser(description=__doc__))
    parser.add_argument("--checkpointing", action=BooleanOptionalAction, default=None)
    options = parser.parse_args()

    import torch

    from handbook.model.load import load_model
    from handbook.train.loop import TrainConfig, advance, begin
    from handbook.train.lora import LoRAConfig, add_lora
    from handbook.train.precision import prepare
    from handbook.train.preference import Dpo
    from handbook.train.sft import Sft

    torch.set_num_threads(options.threads)
    model = load_model(options.model).model
    add_lora(model, LoRAConfig(r=options.r, alpha=2.0 * options.r))
    precision = "fp32" if options.precision == "fp32" else "bf16"
    said = prepare(model, precision)
    config = TrainConfig(
        steps=options.steps,
        rate=options.rate,
        warmup=0,
        decay=0.0,
        betas=(0.9, 0.999),
        schedule="constant",
        precision=precision,
    )
    objective: Any = Sft(options.checkpointing) if options.method == "sft" else Dpo(beta=0.1)
    state = begin(model, config)
    trains = sum(p.numel() for p in model.parameters() if p.requires_grad)
    told = {"version": f"handbook, torch {torch.__version__}", "precision": said}
    print(json.dumps({**told, "trains": trains, "resident": resident(), "peak": peak()}), flush=True)
    for step in range(options.steps):
        row = row_of(options, step)
        if not sys.stdin.readline():
            return
        worked = process_time()
        point = advance(state, config, [row], objective)
        told = {"seconds": point.seconds, "cpu": process_time() - worked, "loss": point.losses["total"]}
        print(json.dumps({**told, "resident": resident(), "peak": peak()}), flush=True)


if __name__ == "__main__":
    main()
