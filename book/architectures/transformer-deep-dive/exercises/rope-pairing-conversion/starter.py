"""Query and key weights between the two RoPE pairings."""

import torch


def convert(
    weight: torch.Tensor,  # [heads * D, C] or [heads * D]
    heads: int,
    to: str,  # "half-split" or "interleaved"
    rotary: int | None = None,  # R: rows of a head that turn, all D by default
) -> torch.Tensor:  # of weight's shape
    raise NotImplementedError("reorder the rows of each head")
