# Fault: adds the change beside a merged weight.
# Rejected by: test_worked_example

import torch
import torch.nn.functional as F
from torch import nn


class LoRALinear(nn.Module):
    def __init__(self, base, r, alpha):
        if r < 1:
            raise ValueError(f"a rank of {r}")
        super().__init__()
        self.base = base.requires_grad_(False)
        widest = base.in_features**-0.5
        self.a = nn.Parameter(torch.empty(r, base.in_features).uniform_(-widest, widest))
        self.b = nn.Parameter(torch.zeros(base.out_features, r))
        self.scale = alpha / r
        self.merged = None

    def forward(self, x):
        base = F.linear(x, self.merged, self.base.bias) if self.merged is not None else self.base(x)
        change = F.linear(F.linear(x, self.a.to(x.dtype)), self.b.to(x.dtype))
        return base + self.scale * change

    @torch.no_grad()
    def merge(self):
        if self.merged is not None:
            return
        weight = self.base.weight
        self.merged = (weight.float() + self.scale * (self.b @ self.a)).to(weight.dtype)

    def unmerge(self):
        self.merged = None
