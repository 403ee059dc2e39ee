# Fault: the mean of each answer, and the mean of these: a token of a short answer weighs more.
# Rejected by: test_mean_is_over_the_tokens_of_the_batch

import torch


def clean(x, mask):
    return (x if x.dtype == torch.float64 else x.float()).masked_fill(~mask, 0)


def mean(x, mask):
    rows = (x * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return rows.sum() / mask.any(dim=1).sum().clamp(min=1)


def ppo_policy_loss(logprobs, old, advantages, mask, clip=0.2):
    logprobs, old, advantages = (clean(x, mask) for x in (logprobs, old.detach(), advantages.detach()))
    ratio = (logprobs - old).exp()
    free, bound = ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages
    return mean(-torch.minimum(free, bound), mask), mean((bound < free).float(), mask)


def ppo_value_loss(values, old, returns, mask, clip=0.2):
    values, old, returns = (clean(x, mask) for x in (values, old.detach(), returns.detach()))
    bound = old + (values - old).clamp(-clip, clip)
    return 0.5 * mean(torch.maximum((values - returns) ** 2, (bound - returns) ** 2), mask)
