"""Context extension: a base for NTK-aware scaling, and YaRN's frequencies with its attention factor."""

import torch


def ntk_base(dim: int, theta: float, factor: float) -> float:
    raise NotImplementedError("the base with which the slowest pair turns factor times slower")


def yarn(
    dim: int,
    theta: float,
    factor: float,
    context: int,  # positions that the model was trained on
    slow: float = 1.0,  # turns within the context, below which a pair is squeezed
    fast: float = 32.0,  # and above which it is kept
) -> tuple[torch.Tensor, float]:  # frequencies [dim / 2], attention factor
    raise NotImplementedError("a ramp over the index of the pair, then a blend")
