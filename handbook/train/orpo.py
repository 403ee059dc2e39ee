"""ORPO: fine-tuning and preference in one loss, without a reference model. Pure functions.

Hong et al. 2024 (arXiv:2403.07691). An answer's probability is here the geometric mean over its tokens
(equation 3), so that its odds don't vanish with its length.

Axes: B pairs.

Book: model-training/preference-alignment
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def log_odds(logprob: Tensor) -> Tensor:
    """log (p / (1 - p)) of p = exp(logprob), equation 4: any shape, all below 0.

    1 - p is taken as -expm1(logprob) near 1 and through log1p elsewhere, where each keeps its digits
    (Maechler 2012, "Accurately computing log(1 - exp(-|a|))", equation 7).
    """
    near = logprob > -math.log(2)
    # the branch that is not taken is fed a harmless value, else its infinite gradient would make NaN of 0
    below_one = torch.where(near, logprob, torch.full_like(logprob, -1.0))
    small = torch.where(near, torch.full_like(logprob, -1.0), logprob)
    rest = torch.where(near, torch.log(-torch.expm1(below_one)), torch.log1p(-small.exp()))
    return logprob - rest


def odds_ratio_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """-log sigmoid(log odds of the chosen answer - log odds of the rejected one), equation 7: mean
    log-probabilities a token, [B] each -> [B]."""
    return -F.logsigmoid(log_odds(chosen) - log_odds(rejected))


def orpo_loss(chosen: Tensor, rejected: Tensor, weight: float, likelihood: Tensor | None = None) -> Tensor:
    """Fine-tuning on the chosen answer plus `weight` times the odds ratio, equation 6: [B] each -> [B].

    chosen, rejected: mean log-probability of a token of each answer. likelihood: what fine-tuning raises,
    where that is another mean than `chosen`, such as one that takes in the prompt.
    """
    return -(chosen if likelihood is None else likelihood) + weight * odds_ratio_loss(chosen, rejected)
