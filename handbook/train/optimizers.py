"""Which optimizer trains which weights.

AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2), or the same with its two moments in 8 bits.

Book: model-training/fine-tuning-strategies
"""

from typing import Any

import torch
from torch import nn

from handbook.train.adam8 import AdamW8

NAMES = ("adamw", "adamw8bit")


def groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """What trains, in two groups: matrices decay, vectors (norms, biases, magnitudes) don't. Frozen weights
    are in neither.

    Raises ValueError where nothing trains.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise ValueError("no parameter of the model requires a gradient: there is nothing to train")
    matrices = [p for p in trained if p.ndim > 1]
    vectors = [p for p in trained if p.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def optimizer_of(
    name: str, model: nn.Module, rate: float, decay: float, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    """The optimizer of that name over what trains. Raises ValueError for another name."""
    if name == "adamw":
        return torch.optim.AdamW(groups(model, decay), lr=rate, betas=betas, fused=True)
    if name == "adamw8bit":
        return AdamW8(groups(model, decay), lr=rate, betas=betas)
    raise ValueError(f"optimizers are {', '.join(NAMES)}, got {name!r}")
