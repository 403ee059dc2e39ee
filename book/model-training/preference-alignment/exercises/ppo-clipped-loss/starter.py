"""The losses of a PPO step."""

import torch


def ppo_policy_loss(
    logprobs: torch.Tensor,  # [B, T]
    old: torch.Tensor,  # [B, T]
    advantages: torch.Tensor,  # [B, T]
    mask: torch.Tensor,  # [B, T], bool
    clip: float = 0.2,
) -> tuple[torch.Tensor, torch.Tensor]:  # loss [] and share of clipped tokens []
    raise NotImplementedError("minus the smaller of the free and the clipped gain")


def ppo_value_loss(
    values: torch.Tensor,  # [B, T]
    old: torch.Tensor,  # [B, T]
    returns: torch.Tensor,  # [B, T]
    mask: torch.Tensor,  # [B, T], bool
    clip: float = 0.2,
) -> torch.Tensor:  # []
    raise NotImplementedError("half the larger of the free and the clipped error")
