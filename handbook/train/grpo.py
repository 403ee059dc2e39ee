"""GRPO: the group is the baseline. Several answers to the same prompt are compared with each other, so no
value has to be learnt. Pure functions, with the normalisations of Dr. GRPO and DAPO as choices.

Axes: B answers, T tokens of the longest; mask [B, T] as in `ppo`. Answers of a group stand side by side.

Book: model-training/preference-alignment
"""

from typing import Literal

import torch
from torch import Tensor

from handbook.train.ppo import Clipped, kl_estimate, masked_mean, ratio

Normalise = Literal["answer", "token", "constant"]


def grpo_advantages(rewards: Tensor, group: int, scale: bool = True, eps: float = 1e-4) -> Tensor:
    """How much better than its group each answer is: rewards [B], B a multiple of `group` -> [B].

    (r - mean) / std over the group: Shao et al. 2024 (arXiv:2402.03300), section 4.1.2. scale=False leaves
    out the division, which gives easy and hard prompts more weight than those between: Dr. GRPO, Liu et al.
    2025 (arXiv:2503.20783), section 3.1. The deviation divides by group - 1, and eps is added to it.

    Raises ValueError for a group of one, or rewards that don't fill groups.
    """
    if group < 2 or len(rewards) % group:
        raise ValueError(f"{len(rewards)} rewards don't make groups of {group}, which is at least 2")
    rows = rewards.view(-1, group)
    centred = rows - rows.mean(dim=1, keepdim=True)
    return (centred / (rows.std(dim=1, keepdim=True) + eps) if scale else centred).flatten()


def telling(rewards: Tensor, group: int) -> Tensor:
    """Which answers are of groups that were not all rewarded alike: [B] -> bool [B]. The others have no
    advantage and teach nothing; DAPO leaves them out (Yu et al. 2025, arXiv:2503.14476, section 3.2)."""
    rows = rewards.view(-1, group)
    differ = rows.amax(dim=1) > rows.amin(dim=1)
    return differ.repeat_interleave(group)


def grpo_loss(
    logprobs: Tensor,
    old: Tensor,
    advantages: Tensor,
    mask: Tensor,
    reference: Tensor | None = None,
    beta: float = 0.0,
    low: float = 0.2,
    high: float | None = None,
    normalise: Normalise = "answer",
    longest: int | None = None,
) -> Clipped:
    """The clipped surrogate of `ppo.ppo_policy_loss` with an answer's advantage [B] at each of its tokens,
    plus beta times the KL from the reference, which is here a part of the loss and not of the reward.

    Shao et al. 2024 (arXiv:2402.03300), equation 3; the KL is equation 4 (k3). logprobs, old, reference
    [B, T]. high: the upper clip where it isn't `low` (DAPO, arXiv:2503.14476, section 3.1: 0.28).

    normalise: "answer" takes the mean over each answer's tokens, then over answers: a token of a long answer
    weighs less. "token" takes the mean over all tokens (DAPO, section 3.3). "constant" divides by B times
    `longest`, the most tokens that an answer may have: no weight hangs on a length (Dr. GRPO, section 3.2).

    Raises ValueError where "constant" has no `longest`, or beta no reference.
    """
    if normalise == "constant" and not longest:
        raise ValueError("normalise='constant' needs longest, the most tokens of an answer")
    if beta and reference is None:
        raise ValueError(f"a KL weight of {beta} needs the reference's log-probabilities")
    r, each = ratio(logprobs, old, mask), advantages[:, None]
    free = r * each
    bound = r.clamp(1 - low, 1 + (low if high is None else high)) * each
    losses = -torch.minimum(free, bound)
    if beta and reference is not None:
        losses = losses + beta * kl_estimate(logprobs, reference, "k3")
    stopped = masked_mean((bound < free).float(), mask)
    if normalise == "token":
        return Clipped(masked_mean(losses, mask), stopped)
    sums = torch.where(mask, losses, 0.0).sum(dim=1)
    if normalise == "constant":
        return Clipped(sums.mean() / float(longest or 1), stopped)
    return Clipped((sums / mask.sum(dim=1).clamp(min=1)).mean(), stopped)
