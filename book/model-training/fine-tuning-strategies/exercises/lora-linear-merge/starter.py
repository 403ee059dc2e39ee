"""A linear layer with a change of low rank."""

import torch
from torch import nn


class LoRALinear(nn.Module):
    def __init__(self, base: nn.Linear, r: int, alpha: float) -> None:
        super().__init__()
        self.base = base  # a [r, I] and b [O, r] are missing

    def forward(
        self,
        x: torch.Tensor,  # [..., I]
    ) -> torch.Tensor:  # [..., O]
        raise NotImplementedError("the base, and the change beside it")

    def merge(self) -> None:
        raise NotImplementedError("the change into the weight")

    def unmerge(self) -> None:
        raise NotImplementedError("the base again, bit for bit")
