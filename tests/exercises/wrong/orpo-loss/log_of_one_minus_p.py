# Fault: 1 - exp(x) has no digits left near x = 0.
# Rejected by: test_odds_near_zero_and_far_from_it


import torch
import torch.nn.functional as F


def wide(x):
    return x if x.dtype == torch.float64 else x.float()


def log_odds(x):
    x = wide(x)
    return x - torch.log(1 - x.exp())


def mean(x, mask):
    count = mask.sum(dim=1)
    if not count.all():
        raise ValueError(f"an answer without tokens: {count.tolist()}")
    return wide(x).masked_fill(~mask, 0).sum(dim=1) / count


def orpo_loss(chosen, chosen_mask, rejected, rejected_mask, weight):
    c, r = mean(chosen, chosen_mask), mean(rejected, rejected_mask)
    return -c - weight * F.logsigmoid(log_odds(c) - log_odds(r))
