"""PPO for texts: advantages, the clipped losses of policy and value, and the penalty that keeps a policy near
the model that it came from. Pure functions; what samples is in `rollouts`, what learns in `policies`.

An episode is one answer: a state is the prompt and the answer so far, an action the next token. Its reward
comes after the last token, and in between stands only the penalty for leaving the reference.

Axes: B answers, T tokens of the longest. `mask` [B, T] is True at an answer's own tokens, which stand at the
left; what is behind them counts nowhere.

Book: model-training/preference-alignment
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Estimator = Literal["k1", "k2", "k3"]
FAR = 80.0  # nats; fp32 ends at 88


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """The mean of x where mask is True: scalar, 0 where it is True nowhere. What stands elsewhere may be
    anything, NaN too."""
    return torch.where(mask, x, 0.0).sum() / mask.sum().clamp(min=1)


def ratio(logprobs: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """exp(logprobs - old) where mask is True and 1 elsewhere: [B, T].

    From exp(FAR) on it stands still: fp32 ends at exp(88), and infinity times the clip's zero gradient would
    be NaN.
    """
    return torch.where(mask, logprobs - old, 0.0).clamp(max=FAR).exp()


def whiten(x: Tensor, mask: Tensor, centre: bool = True) -> Tensor:
    """x with variance 1, and mean 0 or (centre=False) its own mean, over what mask counts: [B, T].

    PPO's code whitens each batch of advantages, its paper doesn't say so (Huang et al. 2024,
    arXiv:2403.17031, lists such details). The variance divides by the number of values less one.
    """
    mean = masked_mean(x, mask)
    spread = ((x - mean).square() * mask).sum() / (mask.sum() - 1).clamp(min=1)
    whitened = (x - mean) * (spread + 1e-8).rsqrt()
    return (whitened if centre else whitened + mean) * mask


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 0.95
) -> tuple[Tensor, Tensor]:
    """Advantages and the returns that values are fitted to, [B, T] each: rewards and values [B, T].

    Schulman et al. 2015 (arXiv:1506.02438), equation 16: A_t is the sum over l of (gamma lam)^l delta_(t+l),
    and delta_t = r_t + gamma V(s_(t+1)) - V(s_t), equation 9. Behind the last token V is 0, also for an
    answer that was cut off: what it would have earned is not known. Returns are A + V.
    """
    values = torch.where(mask, values, 0.0)
    following = torch.cat((values[:, 1:], torch.zeros_like(values[:, :1])), dim=1)
    deltas = torch.where(mask, rewards + gamma * following - values, 0.0)
    advantages, last = torch.zeros_like(values), torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        last = deltas[:, t] + gamma * lam * last
        advantages[:, t] = last
    return advantages, (advantages + values) * mask


class Clipped(NamedTuple):
    """A clipped loss, scalar, and the share of the tokens whose gradient the clip has stopped."""

    loss: Tensor
    clipped: Tensor


def ppo_policy_loss(
    logprobs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, clip: float = 0.2
) -> Clipped:
    """Mean over the tokens of -min(r A, clip(r, 1 - clip, 1 + clip) A), where r = exp(logprobs - old): all
    [B, T]. Schulman et al. 2017 (arXiv:1707.06347), equation 7, as something to minimise.

    old: log-probabilities of the policy that the tokens were drawn from, as the training forward gives them.
    """
    r = ratio(logprobs, old, mask)
    free, bound = r * advantages, r.clamp(1 - clip, 1 + clip) * advantages
    return Clipped(masked_mean(-torch.minimum(free, bound), mask), masked_mean((bound < free).float(), mask))


def ppo_value_loss(
    values: Tensor, old: Tensor, returns: Tensor, mask: Tensor, clip: float | None = 0.2
) -> Clipped:
    """Half the mean squared error of the values, and no gain from moving further than `clip` from what they
    were: max((V - R)^2, (clip(V, old - clip, old + clip) - R)^2) / 2, all [B, T]. None doesn't clip.

    Not in PPO's paper but in its code: Engstrom et al. 2020 (arXiv:2005.12729), section 3.
    """
    free = (values - returns).square()
    if clip is None:
        return Clipped(0.5 * masked_mean(free, mask), torch.zeros(()))
    bound = (old + (values - old).clamp(-clip, clip) - returns).square()
    return Clipped(
        0.5 * masked_mean(torch.maximum(free, bound), mask), masked_mean((bound > free).float(), mask)
    )


def kl_estimate(logprobs: Tensor, reference: Tensor, kind: Estimator = "k3") -> Tensor:
    """What each token tells of KL(policy || reference), any shape; tokens drawn from the policy.

    With d = logprobs - reference: k1 = d has the right mean and may be negative; k2 = d^2 / 2 is biased and
    varies less; k3 = exp(-d) - 1 + d has the right mean and is never negative (Schulman 2020, "Approximating
    KL divergence"). As a loss it is the gradient that counts, and in the mean only k2's is that of this KL:
    k1's is 0, and k3's is that of KL(reference || policy).
    """
    d = logprobs - reference
    if kind == "k1":
        return d
    return d.square() / 2 if kind == "k2" else torch.expm1(-d) + d


def penalised(scores: Tensor, logprobs: Tensor, reference: Tensor, mask: Tensor, beta: float) -> Tensor:
    """Rewards of every token: -beta (logprobs - reference), and an answer's score [B] at its last: [B, T].

    Ziegler et al. 2019 (arXiv:1909.08593), equation 2, spread over the tokens.
    """
    rewards = -beta * kl_estimate(logprobs, reference, "k1") * mask
    last = (mask.sum(dim=1) - 1).clamp(min=0)[:, None]
    return rewards.scatter_add(1, last, scores[:, None].to(rewards.dtype))


def next_beta(beta: float, kl: float, target: float | None, gain: float = 0.1) -> float:
    """The penalty's weight after answers whose KL from the reference was `kl` nats: larger where that is
    above `target`, smaller below it. None keeps it.

    Ziegler et al. 2019 (arXiv:1909.08593), section 2.2: beta (1 + gain e), e = kl / target - 1 within +-0.2.
    """
    if target is None:
        return beta
    return beta * (1 + gain * min(max(kl / target - 1, -0.2), 0.2))


class ValueHead(nn.Module):
    """What the rest of the episode is expected to earn: hidden [..., C] -> [...], fp32.

    Begins at 0 everywhere, so that the first advantages are the rewards themselves. through: whether the
    value's error also moves the layers below, which it shares with the policy.
    """

    def __init__(self, dim: int, through: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dim))
        self.bias = nn.Parameter(torch.zeros(1))
        self.through = through

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden if self.through else hidden.detach()
        return hidden.float() @ self.weight + self.bias
