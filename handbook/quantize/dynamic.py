"""Eight bits for numbers of very different sizes: a code per number, a scale per block.

A block is divided by its largest magnitude, and each number becomes the nearest of 256 code values. The
values lie in decades: the tenth up to 1 has half of all codes, each decade below it half as many as the one
above, so that small numbers keep their size and large ones their digits. Dettmers et al. 2021
(arXiv:2110.02861), sections 1.3, 2.1 and 2.2.

Axes: N numbers, K blocks of `block`, the last one shorter where N is no multiple.

Book: model-training/fine-tuning-strategies
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 256
DECADES = 7


@cache
def codebook(signed: bool) -> Tensor:
    """The 256 values that a code stands for, ascending: fp32 [256].

    Seven decades down from 1, each cut into equal parts whose middles are the values: 64 parts in the highest
    and half as many in each lower one, for both signs; or twice as many for numbers that are never negative.
    With 0 and 1 that makes 256; -1 itself has no code.
    """
    values = [0.0, 1.0]
    for decade in range(DECADES):
        parts = 2**decade if signed else 2 ** (decade + 1)
        edges = torch.linspace(0.1, 1, parts + 1)
        middles = (10.0 ** (decade + 1 - DECADES) * (edges[:-1] + edges[1:]) / 2).tolist()
        values += middles + [-middle for middle in middles] * signed
    return torch.tensor(sorted(values))


def nearest_plain(numbers: Tensor, signed: bool) -> Tensor:
    """The code of the nearest value: numbers in [-1, 1] of any shape -> uint8. Between two, the lower one."""
    values = codebook(signed).to(numbers.device)
    return torch.bucketize(numbers, (values[:-1] + values[1:]) / 2).to(torch.uint8)


class _Table(NamedTuple):
    """For the upper 16 bits of a float: the code of the lowest number that has them, and the number above
    which it is the next one. No two borders between codes share those bits, within [-1, 1]."""

    code: Tensor  # uint8 [65536]
    border: Tensor  # fp32 [65536]


@cache
def _table(signed: bool) -> _Table:
    values = codebook(signed)
    borders = (values[:-1] + values[1:]) / 2
    upper = torch.arange(65536, dtype=torch.int32) << 16
    ends = torch.stack([upper.view(torch.float32), (upper | 0xFFFF).view(torch.float32)])
    code = torch.bucketize(ends.min(0).values, borders)
    return _Table(code.to(torch.uint8), torch.cat([borders, torch.tensor([math.inf])])[code])


def nearest(numbers: Tensor, signed: bool) -> Tensor:
    """`nearest_plain` by looking up the upper half of each number's bits: fp32 [N], contiguous -> uint8 [N].

    On the processor; numbers on another device take the plain way.
    """
    if numbers.device.type != "cpu":
        return nearest_plain(numbers, signed)
    table = _table(signed)
    upper = numbers.view(torch.int32).bitwise_right_shift(16).bitwise_and_(0xFFFF)
    code = table.code.index_select(0, upper)
    return code.add_(numbers > table.border.index_select(0, upper))


@dataclass(frozen=True, slots=True)
class Blocks:
    """Quantized numbers: codes uint8 [N], scales fp32 [K]; signed: which codebook."""

    codes: Tensor
    scales: Tensor
    signed: bool
    block: int = BLOCK


def quantize(numbers: Tensor, signed: bool, block: int = BLOCK) -> Blocks:
    """fp32 [N] -> their codes. A block of zeros gives zeros back. The numbers have to be finite."""
    rows = _rows(numbers, block)
    scales = rows.abs().amax(1)
    normed = rows / scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    return Blocks(nearest(normed.view(-1), signed)[: numbers.numel()], scales, signed, block)


def dequantize(blocks: Blocks) -> Tensor:
    """The numbers that the codes stand for: fp32 [N]."""
    values = codebook(blocks.signed).to(blocks.codes.device)
    rows = _rows(values.index_select(0, blocks.codes.int()), blocks.block)
    return (rows * blocks.scales[:, None]).view(-1)[: blocks.codes.numel()]


def _rows(numbers: Tensor, block: int) -> Tensor:
    """[N] -> [K, block], zeros behind the last."""
    rest = -numbers.numel() % block
    padded = torch.nn.functional.pad(numbers, (0, rest)) if rest else numbers
    return padded.view(-1, block)
