"""What a step takes: all weights trained, with and without checkpointing, a LoRA, a LoRA over four bits.

All four sides take turns on the same row; the claims are ratios within a round.
"""

from functools import cache

from handbook.lab import kit
from handbook.lab.tuning.sides import Side, in_turns, ratios, row, subject

LENGTHS = {True: [64, 64], False: [128] * 4}
ROUNDS = {True: 7, False: 3}


@cache
def steps(small: bool) -> dict[str, list[float]]:
    """Seconds of steps, by side: `lora`, `full`, `full again` (with checkpointing) and `qlora`. Made once.

    Small: a random decoder on 128 tokens. Full: SmolLM2-135M on four documents of 128 tokens, all of which
    count. Raises ModelUnavailable."""
    model = subject(small)
    packed = row(model.config.vocab_size, LENGTHS[small])
    lora, full, qlora = all_sides = [Side(model, kind) for kind in ("lora", "full", "qlora")]
    with kit.threads(1):
        for side in all_sides:  # what is made at a first step is made before any counts
            side.step(row(model.config.vocab_size, [4, 4]))
    return in_turns(
        {
            "lora": lambda: lora.step(packed),
            "full": lambda: full.step(packed),
            "full again": lambda: full.step(packed, checkpointing=True),
            "qlora": lambda: qlora.step(packed),
        },
        ROUNDS[small],
        warm=0,
    )


def lora_step_speed(small: bool = True) -> list[float]:
    """Seconds of a LoRA's step over one of full fine-tuning."""
    return ratios(steps(small), "lora", "full")


def checkpointing_cost(small: bool = True) -> list[float]:
    """Seconds of a step of full fine-tuning that computes blocks again over one that keeps what they made."""
    return ratios(steps(small), "full again", "full")


def qlora_step(small: bool = True) -> list[float]:
    """Seconds of a step of a LoRA over a base in NF4 over one over the base in fp32."""
    return ratios(steps(small), "qlora", "lora")
