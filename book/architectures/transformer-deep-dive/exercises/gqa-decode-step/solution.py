"""Store, then the handbook's own attention, which lets a group of query heads share a key and value head."""

import torch

from handbook.model.attention import attend


def decode_step(
    q: torch.Tensor,  # [B, H, 1, D]
    k: torch.Tensor,  # [B, J, 1, D]
    v: torch.Tensor,  # [B, J, 1, D]
    cache_k: torch.Tensor,  # [B, J, capacity, D], written in place
    cache_v: torch.Tensor,  # [B, J, capacity, D], written in place
    length: int,  # tokens held before this step
) -> torch.Tensor:  # [B, H, 1, D]
    """No mask: all that is stored is past or the token itself. Raises ValueError when the cache is full."""
    capacity = cache_k.shape[2]
    if length >= capacity:
        raise ValueError(f"The cache holds {capacity} tokens and is full.")
    now = slice(length, length + 1)
    cache_k[:, :, now], cache_v[:, :, now] = k, v
    return attend(q, cache_k[:, :, : length + 1], cache_v[:, :, : length + 1])
