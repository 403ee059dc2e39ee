"""The losses are the handbook's own. Inputs are cleaned first: behind the mask it expects plain numbers."""

import torch

from handbook.train import ppo


def ppo_policy_loss(
    logprobs: torch.Tensor,  # [B, T]
    old: torch.Tensor,  # [B, T]
    advantages: torch.Tensor,  # [B, T]
    mask: torch.Tensor,  # [B, T], bool
    clip: float = 0.2,
) -> tuple[torch.Tensor, torch.Tensor]:  # loss [] and share of clipped tokens []
    clean = _clean(logprobs, mask), _clean(old.detach(), mask), _clean(advantages.detach(), mask)
    found = ppo.ppo_policy_loss(*clean, mask, clip)
    return found.loss, found.clipped


def ppo_value_loss(
    values: torch.Tensor,  # [B, T]
    old: torch.Tensor,  # [B, T]
    returns: torch.Tensor,  # [B, T]
    mask: torch.Tensor,  # [B, T], bool
    clip: float = 0.2,
) -> torch.Tensor:  # []
    clean = _clean(values, mask), _clean(old.detach(), mask), _clean(returns.detach(), mask)
    return ppo.ppo_value_loss(*clean, mask, clip).loss


def _clean(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """In fp32 at least, and 0 where nothing counts: there r is 1, the gain 0, and so is its gradient."""
    return (x if x.dtype == torch.float64 else x.float()).masked_fill(~mask, 0)
