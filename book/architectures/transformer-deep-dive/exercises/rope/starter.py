"""Rotary position embedding, half-split pairs."""

import torch


def rope(
    x: torch.Tensor,  # [B, H, T, D]
    positions: torch.Tensor,  # [T], integers
    theta: float = 10000.0,
) -> torch.Tensor:  # [B, H, T, D]
    raise NotImplementedError("frequencies, angles, then a rotation of each pair")
