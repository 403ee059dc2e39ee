"""Scaled dot-product attention. Fill in the function; run the tests as often as you like."""

import torch


def attention(
    q: torch.Tensor,  # [B, H, T, D]
    k: torch.Tensor,  # [B, H, S, D]
    v: torch.Tensor,  # [B, H, S, D]
    mask: torch.Tensor | None = None,  # bool, broadcastable to [B, H, T, S]; True = may look
) -> torch.Tensor:  # [B, H, T, D]
    raise NotImplementedError("write attention here")
