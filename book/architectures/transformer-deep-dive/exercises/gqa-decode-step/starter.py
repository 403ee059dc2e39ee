"""One decoding step of grouped-query attention over a preallocated KV cache."""

import torch


def decode_step(
    q: torch.Tensor,  # [B, H, 1, D]
    k: torch.Tensor,  # [B, J, 1, D]
    v: torch.Tensor,  # [B, J, 1, D]
    cache_k: torch.Tensor,  # [B, J, capacity, D], written in place
    cache_v: torch.Tensor,  # [B, J, capacity, D], written in place
    length: int,  # tokens held before this step
) -> torch.Tensor:  # [B, H, 1, D]
    raise NotImplementedError("store, then attend")
