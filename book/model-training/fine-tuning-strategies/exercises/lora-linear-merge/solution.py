"""The layer is the handbook's own, which takes any factors (and DoRA, PiSSA, dropout); here is LoRA's start.

Its merge makes a second layer and keeps the base, so that unmerging is forgetting: what was added to a
rounded number can't be subtracted without a trace.
"""

import torch
from torch import nn

from handbook.model.adapters import Factors
from handbook.train.lora import LoRALinear as Layer


class LoRALinear(Layer):
    """Raises ValueError for a rank below 1."""

    def __init__(self, base: nn.Linear, r: int, alpha: float) -> None:
        if r < 1:
            raise ValueError(f"Expected a rank from 1 on, got {r}.")
        widest = base.in_features**-0.5
        a = torch.empty(r, base.in_features).uniform_(-widest, widest)
        super().__init__(base, Factors(a, torch.zeros(base.out_features, r), alpha / r))
