"""What keeps experts busy: the balancing loss, the z-loss, and the bias that balances without a loss.

Axes: B sequences, T tokens each, N tokens, E experts, k experts for each token.

Book: architectures/transformer-deep-dive
"""

import torch
from torch import Tensor


def balance_loss(probabilities: Tensor, experts: Tensor, mask: Tensor | None = None) -> Tensor:
    """E * sum_i f_i P_i: probabilities [N, E], chosen experts [N, k], mask [N] (True: counts) -> scalar.

    f_i is the number of assignments to expert i for each token, P_i the router's mean probability for it.
    For k = 1 this is Fedus et al. 2021 (arXiv:2101.03961), equations 4 to 6, without the factor alpha. For
    k > 1 the f_i sum to k, so that an even load gives k: the form that transformers computes. Gradients
    flow through P alone; counts have none. For several layers, put their tokens one after another.
    """
    N, E = probabilities.shape
    counts = probabilities.new_ones(N) if mask is None else mask.to(probabilities.dtype)
    tokens = counts.sum().clamp(min=1.0)  # an empty batch has loss 0
    f = probabilities.new_zeros(E).index_add(0, experts.flatten(), counts.repeat_interleave(experts.shape[1]))
    return E * ((f / tokens) * ((probabilities * counts[:, None]).sum(dim=0) / tokens)).sum()


def sequence_balance_loss(probabilities: Tensor, experts: Tensor) -> Tensor:
    """Mean of each sequence's own balancing loss, 1 for an even load: [B, T, E], [B, T, k] -> scalar.

    DeepSeek-V3 (arXiv:2412.19437), equations 17 to 20, without the factor alpha.
    """
    losses = [balance_loss(p, chosen) for p, chosen in zip(probabilities, experts, strict=True)]
    return torch.stack(losses).mean() / experts.shape[-1]


def z_loss(logits: Tensor) -> Tensor:
    """Mean square of log(sum(exp(logits))): [N, E] -> scalar. It keeps the router's logits small.

    Zoph et al. 2022 (arXiv:2202.08906), equation 5.
    """
    return logits.logsumexp(dim=-1).square().sum() / max(len(logits), 1)


def rebalanced(bias: Tensor, load: Tensor, step: float) -> Tensor:
    """The selection bias after one step: up for experts below the mean load, down for those above.

    bias, load [E] -> [E]. Only the error's sign counts. Wang et al. 2024 (arXiv:2408.15664), algorithm 1.
    """
    load = load.to(bias.dtype)
    return bias + step * (load.mean() - load).sign()
