"""What an adapter adds to a product, as the kernels read it: y += B (A x).

A product may be of several linear layers side by side (query, key, value), each with its own A and B: the As
stand below each other, so that one pass over x gives all of u = A x, and each half of a panel (16 outputs of
one layer) says where its part of u begins. A is [R / 16, K, 16], R the ranks together, filled up with zeros
to a multiple of 16; B is [O / 16, r, 16] of one layer after another. Beside products of int8 and int4 both
are int8, with one scale for each rank: what an adapter adds is small, and its rounding is far below that of
the weights. A step reads the adapters of all its texts, so their bytes are its time.

Axes: K inputs, O outputs, r rank.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.engine.adapting import Low
from handbook.engine.kernels import abi
from handbook.engine.kernels.pack import HALF, Arena

NUMBERS = {torch.float32: abi.FP32, torch.bfloat16: abi.BF16, torch.int8: abi.INT8}
Half = tuple[int, int]
"""Which of the layers 16 outputs belong to, and which 16 of it they are."""


@dataclass(frozen=True)
class PackedLow:
    """Keeps the memory alive that `struct` points into."""

    struct: abi.LowStruct
    a: Tensor
    b: Tensor
    scales: Tensor | None
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


def rounded(low: Low) -> tuple[Low, Tensor]:
    """Whole numbers within +-127 (as fp32) and the scale of each rank [r]: u is A x times it."""
    by_a, by_b = low.a.abs().amax(dim=1) / 127, low.b.abs().amax(dim=0) / 127
    a = (low.a / by_a.clamp(min=1e-30)[:, None]).round()
    b = (low.b / by_b.clamp(min=1e-30)).round()
    return Low(a, b), by_a * by_b


def arena_for(lows: Iterable[Low], kind: torch.dtype, kernels: abi.Library) -> Arena:
    """Room for all parts of an adapter: ranks are filled up to a multiple of 16."""
    count = sum((len(low.a) + HALF) * low.a.shape[1] + low.b.numel() + 64 for low in lows)
    return Arena(kernels, count * kind.itemsize)


def pack_low(
    lows: Sequence[Low | None], halves: Sequence[Half], kind: torch.dtype, arena: Arena
) -> PackedLow:
    """lows: of the layers side by side, None for one that the adapter leaves alone. kind: fp32, bf16 or
    int8. arena: where it goes."""
    found: list[Tensor] = []
    if kind == torch.int8:
        pairs = [None if low is None else rounded(low) for low in lows]
        lows = [None if pair is None else pair[0] for pair in pairs]
        found = [pair[1] for pair in pairs if pair is not None]
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
    a, b = (arena.room(part.shape, kind).copy_(part) for part in (a, b))
    total = a.shape[0] * HALF
    scales = F.pad(torch.cat(found), (0, total - sum(ranks))).contiguous() if found else None
    pointers = a.data_ptr(), b.data_ptr(), None if scales is None else scales.data_ptr()
    struct = abi.LowStruct(NUMBERS[kind], total, *pointers, table.buffer_info()[0])
    return PackedLow(struct, a, b, scales, table)
