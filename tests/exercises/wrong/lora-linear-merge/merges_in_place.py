# Fault: adds to the base's weight and subtracts again.
# Rejected by: test_base_comes_back_bit_for_bit

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
        if self.merged is not None:
            return self.base(x)
        change = F.linear(F.linear(x, self.a.to(x.dtype)), self.b.to(x.dtype))
        return self.base(x) + self.scale * change

    @torch.no_grad()
    def merge(self):
        if self.merged is not None:
            return
        self.merged = (self.scale * (self.b @ self.a)).to(self.base.weight.dtype)
        self.base.weight += self.merged

    @torch.no_grad()
    def unmerge(self):
        if self.merged is not None:
            self.base.weight -= self.merged
        self.merged = None
