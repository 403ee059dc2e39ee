"""Draft models and drafters for tests: the target's first layers, the target with noise, a stranger, and one
that knows the answers."""

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from handbook.engine.draft_model import first_layers
from handbook.engine.drafts import Wanted
from handbook.model.load import Loaded
from handbook.model.transformer import Transformer


def noisy(loaded: Loaded, share: float) -> Loaded:
    """The model with each weight moved by about so much of their spread."""
    model = copy.deepcopy(loaded.model)
    draw = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data += share * weight.std() * torch.randn(weight.shape, generator=draw)
    return replace(loaded, model=model, name="noisy")


def stranger(loaded: Loaded, **changes: int) -> Loaded:
    """A model of other weights and another size."""
    torch.manual_seed(8)
    config = replace(loaded.config, **{"dim": 16, "heads": 2, "kv_heads": 1, "layers": 1, **changes})
    return replace(
        loaded, model=Transformer(config).eval().requires_grad_(False), config=config, name="stranger"
    )


def all_drafts(loaded: Loaded) -> dict[str, Loaded]:
    return {
        "itself": loaded,
        "layers": first_layers(loaded, 1),
        "noisy": noisy(loaded, 0.1),
        "stranger": stranger(loaded, context=40, vocab_size=272),
    }


class Oracle:
    """Knows what each prompt is answered with; each of its drafts is right with probability `rate`."""

    steady = True

    def __init__(self, answers: Mapping[tuple[int, ...], Sequence[int]], rate: float) -> None:
        self.answers, self.rate, self.random = answers, rate, random.Random(1)
        self.forgotten: list[int] = []

    def guess(self, wanted: Sequence[Wanted]) -> dict[int, list[int]]:
        found = {}
        for one in wanted:
            prompt, said = tuple(one.tokens[: one.prompt]), len(one.tokens) - one.prompt
            right = self.answers[prompt][said : said + one.most]
            found[one.sequence] = [t if self.random.random() < self.rate else (t + 1) % 256 for t in right]
        return found

    def forget(self, sequence: int) -> None:
        self.forgotten.append(sequence)
