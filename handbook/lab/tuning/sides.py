"""Models that train beside each other, a step at a time, so that what differs between them can be timed.

All are computed plainly in fp32 on one thread, without fused blocks and without compiled kernels: a ratio
then says what the arithmetic costs, and means the same on any machine. Full settings take SmolLM2-135M, small
ones a random decoder of two layers.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache

import torch

from handbook.lab import kit
from handbook.lab.transformer.subjects import SMOLLM2
from handbook.model.config import ModelConfig
from handbook.model.transformer import Transformer
from handbook.train.config import TrainConfig
from handbook.train.examples import Example
from handbook.train.loop import advance, begin
from handbook.train.lora import LoRAConfig, add_lora
from handbook.train.packing import Packed, pack
from handbook.train.qlora import add_qlora
from handbook.train.sft import Sft

LORA = LoRAConfig(r=16, alpha=32)
SMALL = replace(
    SMOLLM2, vocab_size=512, dim=512, heads=8, kv_heads=4, hidden_dim=1536, layers=2, context=2048
)
CONFIG = TrainConfig(steps=1000, rate=1e-5, warmup=0)


@cache
def random_model(config: ModelConfig = SMALL, seed: int = 0) -> Transformer:
    """With random weights, which nobody trains: sides are copies. Kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Transformer(config).eval().requires_grad_(False)


def subject(small: bool) -> Transformer:
    """What is measured. Raises ModelUnavailable where the full settings lack their model."""
    return random_model() if small else kit.chat_model().model


def twin(model: Transformer) -> Transformer:
    """The same weights, nothing copied, in modules of its own: for what wraps layers and writes to none."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return deepcopy(model, shared)


def row(vocabulary: int, lengths: list[int], counted: float = 1.0, seed: int = 0) -> Packed:
    """Documents of random tokens in one row; of each the last `counted` share has targets that count."""
    draw = torch.Generator().manual_seed(seed)
    examples = []
    for length in lengths:
        tokens = torch.randint(vocabulary, (length,), generator=draw).tolist()
        given = length - max(2, round(counted * length))
        examples.append(Example(tuple(tokens), tuple(place >= given for place in range(length))))
    return pack(examples)


class Side:
    """A model and its optimizer; `step` takes one on a row. kind: "lora", "qlora" or "full"."""

    def __init__(self, model: Transformer, kind: str) -> None:
        if kind == "full":
            self.model = deepcopy(model).requires_grad_(True)
        else:
            self.model = twin(model)
            if kind == "qlora":
                add_qlora(self.model, LORA, rest=torch.float32)
            else:
                add_lora(self.model, LORA)
        self.kind, self.state = kind, begin(self.model, CONFIG)

    def step(self, packed: Packed, checkpointing: bool = False) -> float:
        """The loss before it."""
        return advance(self.state, CONFIG, [packed], Sft(checkpointing)).losses["total"]


def in_turns(sides: Mapping[str, Callable[[], object]], rounds: int, warm: int = 1) -> dict[str, list[float]]:
    """Seconds of each side's calls, round by round, on one thread; `warm` rounds before that don't count.
    Every other round goes backwards, so that a slow phase of a shared machine hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    with kit.threads(1):
        for turn in range(warm + rounds):
            for name in list(sides)[:: -1 if turn % 2 else 1]:
                spent = kit.seconds(sides[name])
                if turn >= warm:
                    taken[name].append(spent)
    return taken


def ratios(taken: Mapping[str, list[float]], one: str, other: str) -> list[float]:
    """Seconds of one over those of the other, in each round."""
    return [a / b for a, b in zip(taken[one], taken[other], strict=True)]
