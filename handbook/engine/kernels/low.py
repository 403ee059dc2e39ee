"""What an adapter adds to a product, as the kernels read it: y += B (A x).

A product may be of several linear layers side by side (query, key, value), each with its own A and B: the As
stand below each other, so that one pass over x gives all of u = A x, and each half of a panel (16 outputs of
one layer) says where its part of u begins. A is [R / 16, K, 16], R the ranks together, filled up with zeros
to a multiple of 16; B is [O / 16, r, 16] of one layer after another.

Axes: K inputs, O outputs, r rank.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.engine.adapting import Low
from handbook.engine.kernels import abi
from handbook.engine.kernels.pack import HALF

Half = tuple[int, int]
"""Which of the layers 16 outputs belong to, and which 16 of it they are."""


@dataclass(frozen=True)
class PackedLow:
    """Keeps the memory alive that `struct` points into."""

    struct: abi.LowStruct
    a: Tensor
    b: Tensor
    halves: "array[int]"

    @property
    def nbytes(self) -> int:
        return self.a.nbytes + self.b.nbytes


def halves_of(outputs: Sequence[int], turns: bool) -> list[Half]:
    """The halves of a product's panels in order: one layer after another, or in turns (`interleave`).
    outputs: of each layer, multiples of 16."""
    each = [[(n, half) for half in range(count // HALF)] for n, count in enumerate(outputs)]
    if turns:
        return [half for both in zip(*each, strict=True) for half in both]
    return [half for layer in each for half in layer]


def pack_low(lows: Sequence[Low | None], halves: Sequence[Half], kind: torch.dtype) -> PackedLow:
    """lows: of the layers side by side, None for one that the adapter leaves alone. kind: fp32 or bf16."""
    there = [low for low in lows if low is not None]
    a = torch.cat([low.a for low in there])
    a = F.pad(a, (0, 0, 0, -len(a) % HALF)).view(-1, HALF, a.shape[1]).transpose(1, 2)  # [R / 16, K, 16]
    b = torch.cat([low.b.view(-1, HALF, low.b.shape[1]).transpose(1, 2).flatten() for low in there])
    ranks = [0 if low is None else len(low.a) for low in lows]
    sizes = [0 if low is None else low.b.numel() for low in lows]
    froms, begins = (list(accumulate(each, initial=0)) for each in (ranks, sizes))
    table = array("i")
    for layer, half in halves:
        table.extend((froms[layer], ranks[layer], begins[layer] // HALF + half * ranks[layer]))
    table.extend((0, 0, 0) * (len(halves) % 2))
    a, b = a.to(kind).contiguous(), b.to(kind)
    number = abi.FP32 if kind == torch.float32 else abi.BF16
    struct = abi.LowStruct(number, a.shape[0] * HALF, a.data_ptr(), b.data_ptr(), table.buffer_info()[0])
    return PackedLow(struct, a, b, table)
