# Fault: keeps the merged weight for the next time, whatever has trained since.
# Rejected by: test_what_trained_in_between_counts

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
        self.merged, self.on = None, False

    def forward(self, x):
        if self.on:
            return F.linear(x, self.merged, self.base.bias)
        change = F.linear(F.linear(x, self.a.to(x.dtype)), self.b.to(x.dtype))
        return self.base(x) + self.scale * change

    @torch.no_grad()
    def merge(self):
        self.on = True
        if self.merged is not None:
            return
        weight = self.base.weight
        self.merged = (weight.float() + self.scale * (self.b @ self.a)).to(weight.dtype)

    def unmerge(self):
        self.on = False
