"""What each method holds in memory, counted on modules of SmolLM2-135M's size that take none."""

from collections.abc import Sequence

import torch
from torch import nn

from handbook.lab.transformer.subjects import SMOLLM2
from handbook.model.transformer import Transformer
from handbook.train.policies import Policy
from handbook.train.reward import RewardModel

METHODS = ("sft", "orpo", "dpo", "rlhf")


def modules(method: str) -> list[nn.Module]:
    """What is held while all weights train. Raises ValueError for another method."""
    if method not in METHODS:
        raise ValueError(f"the method should be one of {', '.join(METHODS)}, got {method!r}")
    with torch.device("meta"):
        held: list[nn.Module] = [Transformer(SMOLLM2)]  # the policy
        if method in ("dpo", "rlhf"):
            held.append(Transformer(SMOLLM2))  # the reference
        if method == "rlhf":
            held += [RewardModel(Transformer(SMOLLM2)), Policy(Transformer(SMOLLM2))]  # rewards, values
    return held


def parameters(held: Sequence[nn.Module]) -> int:
    """Numbers in their weights, each counted once."""
    return sum(p.numel() for p in {id(p): p for module in held for p in module.parameters()}.values())


def over_sft(method: str) -> float:
    return parameters(modules(method)) / parameters(modules("sft"))


def rlhf_memory(small: bool = True) -> float:
    return over_sft("rlhf")


def dpo_memory(small: bool = True) -> float:
    return over_sft("dpo")


def orpo_memory(small: bool = True) -> float:
    return over_sft("orpo")
