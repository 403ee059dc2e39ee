"""Rotary position embedding: position turns the query and the key, so their product sees the distance.

Su et al. 2021, RoFormer (arXiv:2104.09864), section 3.2 and equation 34. The paper turns neighbouring pairs
(x0, x1), (x2, x3), ...; the Llama checkpoints on the hub pair x[i] with x[i + D/2], the two halves, which is
the same rotation with the axes in another order. The decoder pairs halves. GGUF files of the Llama family,
and DeepSeek's checkpoints, keep the paper's order: `interleaved_to_half_split` reorders their query and key
weights once, at loading. Weights of one order under the other's rotation raise no error and give nonsense.

Axes: T positions, D head size, R channels of it that turn.

Book: architectures/transformer-deep-dive
"""

import torch
from torch import Tensor


def rope_frequencies(dim: int, theta: float = 10000.0) -> Tensor:
    """Radians per position of each pair i in 0 .. D/2 - 1: theta^(-2i/D) -> [D/2]. RoFormer, equation 15."""
    return 1.0 / theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)


def rope_tables(
    positions: Tensor, dim: int, theta: float = 10000.0, frequencies: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """cos and sin of every position's angle on every pair: positions [T] -> two of [T, D/2].

    frequencies replaces `rope_frequencies(dim, theta)` where a context extension changed them.
    """
    frequencies = rope_frequencies(dim, theta) if frequencies is None else frequencies
    angles = positions.to(torch.float32)[:, None] * frequencies.to(positions.device)
    return angles.cos(), angles.sin()


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (x[i], x[i + D/2]) by its angle: x [..., T, D]; cos, sin [T, D/2] -> [..., T, D].

    A rotation: lengths stay, and the product of two turned vectors depends on their positions only through
    the difference (RoFormer, equation 16).
    """
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def apply_rope_interleaved(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`apply_rope` in the paper's order: turn each pair (x[2i], x[2i + 1]). RoFormer, equation 34."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)


def apply_partial_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`apply_rope` on the first R channels, the others stay: x [..., T, D]; cos, sin [T, R/2] -> [..., T, D].

    GPT-NeoX (Black et al. 2022, arXiv:2204.06745, section 2.1.1) turns a quarter; Phi-2 two fifths. With
    R = D it is `apply_rope`.
    """
    turning = 2 * cos.shape[-1]
    if turning == x.shape[-1]:
        return apply_rope(x, cos, sin)
    return torch.cat((apply_rope(x[..., :turning], cos, sin), x[..., turning:]), dim=-1)


def interleaved_to_half_split(weight: Tensor, heads: int) -> Tensor:
    """Reorder the rows of a query or key weight [heads * D, ...]: pairs (2i, 2i + 1) become (i, i + D/2)."""
    pairs = weight.reshape(heads, -1, 2, *weight.shape[1:])  # [heads, D/2, 2, ...]
    return pairs.transpose(1, 2).reshape(weight.shape)


def half_split_to_interleaved(weight: Tensor, heads: int) -> Tensor:
    """The inverse of `interleaved_to_half_split`."""
    halves = weight.reshape(heads, 2, -1, *weight.shape[1:])  # [heads, 2, D/2, ...]
    return halves.transpose(1, 2).reshape(weight.shape)
