"""The solution is the handbook's own reordering, applied to the turning rows of each head."""

import torch

from handbook.model.rope import half_split_to_interleaved, interleaved_to_half_split

REORDER = {"half-split": interleaved_to_half_split, "interleaved": half_split_to_interleaved}


def convert(
    weight: torch.Tensor,  # [heads * D, C] or [heads * D]
    heads: int,
    to: str,  # "half-split" or "interleaved"
    rotary: int | None = None,  # R: rows of a head that turn, all D by default
) -> torch.Tensor:  # of weight's shape
    """Each head's rows in the other order. Raises ValueError for sizes or a pairing that can't be."""
    rows, *rest = weight.shape
    if to not in REORDER:
        raise ValueError(f"Expected to to be one of {', '.join(REORDER)}, got {to!r}.")
    if heads < 1 or rows % heads:
        raise ValueError(f"Expected rows that divide into {heads} heads, got {rows}.")
    D = rows // heads
    R = D if rotary is None else rotary
    if R % 2 or not 2 <= R <= D:
        raise ValueError(f"Expected an even number of turning rows in 2 .. {D}, got {R}.")
    per_head = weight.reshape(heads, D, *rest)
    turning = per_head[:, :R].reshape(heads * R, *rest)
    turned = REORDER[to](turning, heads).reshape(heads, R, *rest)
    return torch.cat((turned, per_head[:, R:]), dim=1).reshape(weight.shape)
