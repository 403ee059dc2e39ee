"""The solution is the handbook's own rotation, with its checks and precision spelled out."""

import torch

from handbook.model.rope import apply_rope, rope_tables


def rope(
    x: torch.Tensor,  # [B, H, T, D]
    positions: torch.Tensor,  # [T], integers
    theta: float = 10000.0,
) -> torch.Tensor:  # [B, H, T, D]
    """Half-split pairs; angles and rotation in float32. Raises ValueError for an odd D."""
    if x.shape[-1] % 2:
        raise ValueError(f"Expected an even head dimension, got {x.shape[-1]}.")
    cos, sin = rope_tables(positions, x.shape[-1], theta)
    return apply_rope(x.float(), cos, sin).to(x.dtype)
