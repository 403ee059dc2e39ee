"""Dispatch of tokens to experts: sort, run, scatter."""

from collections.abc import Callable

import torch


def dispatch(
    x: torch.Tensor,  # [N, C]
    experts: torch.Tensor,  # [N, k], integers; -1 where dropped
    weights: torch.Tensor,  # [N, k]
    run: Callable[[int, torch.Tensor], torch.Tensor],  # (expert, rows [n, C]) -> [n, C]
) -> torch.Tensor:  # [N, C]
    raise NotImplementedError("sort the assignments, run each expert once, scatter back")
