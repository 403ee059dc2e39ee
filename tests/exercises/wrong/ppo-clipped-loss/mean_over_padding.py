# Fault: divides by all places of the batch.
# Rejected by: test_worked_policy_loss

import torch


def clean(x, mask):
    return (x if x.dtype == torch.float64 else x.float()).masked_fill(~mask, 0)


def mean(x, mask):
    return (x * mask).sum() / mask.numel()


def ppo_policy_loss(logprobs, old, advantages, mask, clip=0.2):
    logprobs, old, advantages = (clean(x, mask) for x in (logprobs, old.detach(), advantages.detach()))
    ratio = (logprobs - old).exp()
    free, bound = ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages
    return mean(-torch.minimum(free, bound), mask), mean((bound < free).float(), mask)


def ppo_value_loss(values, old, returns, mask, clip=0.2):
    values, old, returns = (clean(x, mask) for x in (values, old.detach(), returns.detach()))
    bound = old + (values - old).clamp(-clip, clip)
    return 0.5 * mean(torch.maximum((values - returns) ** 2, (bound - returns) ** 2), mask)
