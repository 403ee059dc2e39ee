# Fault: keeps the type of the inputs.
# Rejected by: test_half_precision_is_computed_in_single

import math

import torch
import torch.nn.functional as F


def wide(x):
    return x


def log_odds(x):
    x = wide(x)
    near = x > -math.log(2)
    a = torch.where(near, x, torch.full_like(x, -1.0))
    b = torch.where(near, torch.full_like(x, -1.0), x)
    return x - torch.where(near, torch.log(-torch.expm1(a)), torch.log1p(-b.exp()))


def mean(x, mask):
    count = mask.sum(dim=1)
    if not count.all():
        raise ValueError(f"an answer without tokens: {count.tolist()}")
    return wide(x).masked_fill(~mask, 0).sum(dim=1) / count


def orpo_loss(chosen, chosen_mask, rejected, rejected_mask, weight):
    c, r = mean(chosen, chosen_mask), mean(rejected, rejected_mask)
    return -c - weight * F.logsigmoid(log_odds(c) - log_odds(r))
