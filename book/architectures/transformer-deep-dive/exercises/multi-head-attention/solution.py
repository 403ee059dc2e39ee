"""Projections and reshapes around the handbook's own attention."""

import torch

from handbook.model.attention import attend, causal_mask


def multi_head_attention(
    x: torch.Tensor,  # [B, T, C]
    wq: torch.Tensor,  # [C, C], as nn.Linear stores it
    wk: torch.Tensor,
    wv: torch.Tensor,
    wo: torch.Tensor,
    heads: int,
    causal: bool = False,
) -> torch.Tensor:  # [B, T, C]
    """Raises ValueError when `heads` does not divide C."""
    B, T, C = x.shape
    if C % heads:
        raise ValueError(f"Expected a number of heads that divides {C}, got {heads}.")

    def split(y: torch.Tensor) -> torch.Tensor:  # [B, T, C] -> [B, H, T, D]
        return y.reshape(B, T, heads, C // heads).transpose(1, 2)

    mask = causal_mask(T) if causal else None
    mixed = attend(split(x @ wq.T), split(x @ wk.T), split(x @ wv.T), mask)
    return mixed.transpose(1, 2).reshape(B, T, C) @ wo.T
