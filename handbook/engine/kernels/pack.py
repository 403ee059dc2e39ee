"""Weights as the kernels read them: panels of 32 outputs, in which inputs lie together in groups of 32 bits.

Four kinds. fp32 as they are; bf16 rounded; int4 with a scale and a least number for each 32 inputs, whose
activations are rounded with a scale for each 32, too; int8 with one scale for each output, after a rotation
of blocks of 64 inputs by a Hadamard matrix: activations are rotated alike before they are rounded, which
spreads their outliers, and the product stays what it was because the matrix is orthogonal (QuaRot, Ashkboos
et al. 2024, arXiv:2404.00456, section 3).

Axes: N outputs, K inputs, M rows.
"""

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from handbook.engine.kernels import abi

Precision = Literal["fp32", "bf16", "int8", "int4"]
KINDS: dict[Precision, int] = {"fp32": abi.FP32, "bf16": abi.BF16, "int8": abi.INT8, "int4": abi.INT4}
LAYOUT: dict[Precision, tuple[torch.dtype, int]] = {  # of a packed weight: type, and inputs that lie together
    "fp32": (torch.float32, 1),
    "bf16": (torch.bfloat16, 2),
    "int8": (torch.int8, 4),
    "int4": (torch.uint8, 4),
}
PANEL, HALF, BLOCK, GROUP = 32, 16, 64, 32
SMALL = (
    GROUP * PANEL // 2 + 2 * 2 * PANEL
)  # bytes of a panel's 32 inputs in int4: whole numbers, scale, least
PART = 2048  # outputs that are packed at once: what is copied on the way stays small


def rotate(x: Tensor) -> Tensor:
    """Each 64 of the last axis times the Hadamard matrix over 8, by butterflies: [..., K] -> [..., K].

    Its own inverse.
    """
    shape, step = x.shape, 1
    while step < BLOCK:
        pairs = x.reshape(*shape[:-1], -1, 2, step)
        a, b = pairs.unbind(-2)
        x = torch.stack((a + b, a - b), dim=-2).reshape(shape)
        step *= 2
    return x * 0.125


def panels(weight: Tensor, group: int) -> Tensor:
    """[N, K] -> [N / 32, K / group, 32, group], with zeros where N ends within a panel."""
    weight = F.pad(weight, (0, 0, 0, -weight.shape[0] % PANEL))
    count = weight.shape[0] // PANEL
    return weight.view(count, PANEL, -1, group).transpose(1, 2).contiguous()


def interleave(gate: Tensor, up: Tensor) -> Tensor:
    """Gate and up [F, ...] in turns of 16 rows, so that a panel has both for the same 16 outputs: [2F', ...],
    F' being F filled up with zeros to a multiple of 16."""
    if fill := -gate.shape[0] % HALF:
        gate, up = (torch.cat((x, x.new_zeros(fill, *x.shape[1:]))) for x in (gate, up))
    halves = [x.reshape(-1, HALF, *x.shape[1:]) for x in (gate, up)]
    return torch.stack(halves, dim=1).flatten(0, 2)


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers within +-127 and the scale of each row: [N, K] -> int8 [N, K], [N]."""
    scales = weight.abs().amax(dim=1) / 127.0
    whole = (weight / scales.clamp(min=1e-30)[:, None]).round()
    return whole.to(torch.int8), scales


def quantize_small(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """[N, K] -> whole numbers from 0 to 15 (uint8) and for each 32 inputs a scale and the least weight, fp16
    [N, K / 32]: weight = scale * whole + least.

    What a file quantised as Q4_1 holds comes back as it was (ggml-org, llama.cpp, `ggml-quants.c`).
    """
    groups = weight.view(len(weight), -1, GROUP)
    least, most = groups.amin(dim=-1), groups.amax(dim=-1)
    scale = ((most - least) / 15).half()
    least = least.half()
    by = torch.where(scale > 0, 1 / scale.float().clamp(min=1e-30), 0.0)
    whole = ((groups - least.float()[..., None]) * by[..., None]).round().clamp(0, 15)
    return whole.to(torch.uint8).flatten(1), scale, least


def small_panels(whole: Tensor, scale: Tensor, least: Tensor) -> Tensor:
    """What `quantize_small` gives -> bytes [N / 32, K / 32, 640], `struct Small` of products.h."""
    quads = panels(whole, 4)
    quads = quads.view(len(quads), -1, GROUP // 4, PANEL, 4)  # [P, K / 32, 8, 32, 4]
    both = quads[..., :HALF, :] | quads[..., HALF:, :] << 4
    numbers = (panels(x, 1).view(torch.uint8).flatten(2) for x in (scale, least))  # [P, K / 32, 64]
    return torch.cat((both.flatten(2), *numbers), dim=2)


class Arena:
    """One stretch of memory for many tensors, with large pages behind it where the system has some.

    room: bytes for all at most; what isn't filled is never touched, so it costs nothing.
    """

    def __init__(self, kernels: abi.Library, room: int) -> None:
        self.memory = torch.empty(room, dtype=torch.uint8)
        self.used = 0
        kernels.large_pages(self.memory.data_ptr(), room)

    def room(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A tensor in here, not filled. Raises ValueError when it doesn't fit."""
        begin, end = self.used, self.used + math.prod(shape) * dtype.itemsize
        if end > len(self.memory):
            raise ValueError(f"an arena of {len(self.memory):,} bytes is full")
        self.used = -(-end // 64) * 64
        return self.memory[begin:end].view(dtype).view(*shape)


@dataclass(frozen=True)
class Linear:
    """A packed product, with what happens around it: RMSNorm before; y =, y += or SwiGLU's gate behind.

    Keeps the tensors alive that `struct` points into.
    """

    struct: abi.LinearStruct
    weight: Tensor  # panels
    scales: Tensor | None
    starts: Tensor | None
    bias: Tensor | None
    norm: Tensor | None

    @property
    def nbytes(self) -> int:
        held = (self.weight, self.scales, self.starts, self.bias, self.norm)
        return sum(tensor.nbytes for tensor in held if tensor is not None)


def pack(
    weight: Tensor,
    precision: Precision,
    bias: Tensor | None = None,
    norm: Tensor | None = None,
    eps: float = 0.0,
    after: int = abi.STORE,
    arena: Arena | None = None,
) -> Linear:
    """A weight [N, K], K a multiple of 16 (of 32 for int4), for the kernel. For SILU: gate and up,
    `interleave`d. arena: where the packed weight goes."""
    N, K = weight.shape
    turned = precision == "int8" and K % BLOCK == 0
    kind, group = LAYOUT[precision]
    shape: tuple[int, ...] = (-(-N // PANEL), K // group, PANEL, group)
    if precision == "int4":
        shape = (-(-N // PANEL), K // GROUP, SMALL)
    packed = torch.empty(shape, dtype=kind) if arena is None else arena.room(shape, kind)
    found: list[tuple[Tensor, Tensor]] = []
    for begin in range(0, N, PART):
        rows = weight[begin : begin + PART].detach().float()
        if precision == "int8":
            rows, scale = quantize(rotate(rows) if turned else rows)
            found.append((scale, rows.sum(dim=1, dtype=torch.int32) * -128))
        part = small_panels(*quantize_small(rows)) if precision == "int4" else panels(rows.to(kind), group)
        packed[begin // PANEL : (begin + PART) // PANEL] = part
    scales, starts = (
        (_filled(torch.cat(each)) for each in zip(*found, strict=True)) if found else (None, None)
    )
    bias = None if bias is None else _filled(bias.detach().float())
    norm = None if norm is None else norm.detach().float().contiguous()
    pointers = [None if t is None else t.data_ptr() for t in (packed, scales, starts, bias, norm)]
    struct = abi.LinearStruct(KINDS[precision], N, K, after, turned, eps, *pointers)
    return Linear(struct, packed, scales, starts, bias, norm)


def _filled(x: Tensor) -> Tensor:
    return F.pad(x, (0, -x.shape[0] % PANEL)).contiguous()


def pointer(struct: ctypes.Structure) -> "ctypes._Pointer[ctypes.Structure]":
    """What the kernels take for a structure; made once, not at every call."""
    return ctypes.pointer(struct)
