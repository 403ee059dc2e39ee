# Fault: both factors begin at zero, and so do their gradients, forever.
# Rejected by: test_new_layer_computes_what_the_base_does

import torch
import torch.nn.functional as F
from torch import nn


class LoRALinear(nn.Module):
    def __init__(self, base, r, alpha):
        if r < 1:
            raise ValueError(f"a rank of {r}")
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.zeros(r, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, r))
        self.scale = alpha / r
        self.merged = None

    def forward(self, x):
        if self.merged is not None:
            return F.linear(x, self.merged, self.base.bias)
        change = F.linear(F.linear(x, self.a.to(x.dtype)), self.b.to(x.dtype))
        return self.base(x) + self.scale * change

    @torch.no_grad()
    def merge(self):
        if self.merged is not None:
            return
        weight = self.base.weight
        self.merged = (weight.float() + self.scale * (self.b @ self.a)).to(weight.dtype)

    def unmerge(self):
        self.merged = None
