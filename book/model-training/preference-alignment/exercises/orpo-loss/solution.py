"""The odds and the loss are the handbook's own; here are the means over an answer's tokens."""

import torch

from handbook.train import orpo


def log_odds(
    x: torch.Tensor,  # any shape, below 0
) -> torch.Tensor:  # the same shape
    return orpo.log_odds(_wide(x))


def orpo_loss(
    chosen: torch.Tensor,  # [B, T]
    chosen_mask: torch.Tensor,  # [B, T], bool
    rejected: torch.Tensor,  # [B, S]
    rejected_mask: torch.Tensor,  # [B, S], bool
    weight: float,
) -> torch.Tensor:  # [B]
    """Raises ValueError for an answer without tokens."""
    return orpo.orpo_loss(_mean(chosen, chosen_mask), _mean(rejected, rejected_mask), weight)


def _mean(logprobs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    count = mask.sum(dim=1)
    if not count.all():
        raise ValueError(f"Expected a token in every answer, got {count.tolist()} tokens.")
    return _wide(logprobs).masked_fill(~mask, 0).sum(dim=1) / count


def _wide(x: torch.Tensor) -> torch.Tensor:
    return x if x.dtype == torch.float64 else x.float()
