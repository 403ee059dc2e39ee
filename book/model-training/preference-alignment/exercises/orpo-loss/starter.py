"""ORPO: fine-tuning and preference in one loss."""

import torch


def log_odds(
    x: torch.Tensor,  # any shape, below 0
) -> torch.Tensor:  # the same shape
    raise NotImplementedError("log p - log(1 - p), near 0 and far from it")


def orpo_loss(
    chosen: torch.Tensor,  # [B, T]
    chosen_mask: torch.Tensor,  # [B, T], bool
    rejected: torch.Tensor,  # [B, S]
    rejected_mask: torch.Tensor,  # [B, S], bool
    weight: float,
) -> torch.Tensor:  # [B]
    raise NotImplementedError("means over tokens, then the ratio of odds")
