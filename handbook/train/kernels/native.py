"""The same parts in C++ (train.cpp): bf16 rows, the processor's own vectors, torch's own threads.

Compiled at first use into the data folder, as the engine's kernels are (`handbook.engine.kernels.build`).
"""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, Structure, c_float, c_int32, c_void_p
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from handbook.engine.kernels import build
from handbook.settings import load as load_settings
from handbook.train.kernels.twin import Heads, Stretch

SOURCE = Path(__file__).with_name("train.cpp")
WIDEST = 128  # channels of a head that the tiles have room for


class StretchStruct(Structure):
    """`struct Stretch` of attention.h."""

    _fields_ = [(name, c_int32) for name in ("begin", "end", "prefix_begin", "prefix_end")]


class ShapeStruct(Structure):
    """`struct Shape` of attention.h."""

    _fields_ = [
        *((name, c_int32) for name in ("heads", "kv_heads", "D", "at_qkv", "at_y", "rows", "threads")),
        ("scale", c_float),
    ]


SIGNATURES: dict[str, list[type]] = {
    "norm": [*[c_void_p] * 5, *[c_int32] * 4, c_float, c_int32],
    "norm_back": [*[c_void_p] * 6, *[c_int32] * 5],
    "gate": [*[c_void_p] * 2, *[c_int32] * 5],
    "gate_back": [*[c_void_p] * 4, *[c_int32] * 7],
    "turn": [*[c_void_p] * 3, *[c_int32] * 4, c_float, c_int32],
    "pick": [*[c_void_p] * 3, *[c_int32] * 4],
    "attend": [POINTER(ShapeStruct), POINTER(StretchStruct), c_int32, *[c_void_p] * 3],
    "attend_back": [
        POINTER(ShapeStruct),
        POINTER(StretchStruct),
        POINTER(c_int32),
        c_int32,
        *[c_void_p] * 5,
        *[c_int32] * 2,
    ],
}


@lru_cache(maxsize=1)
def load() -> "Native | str":
    """The kernels, or one line that says why there are none. Compiles at the first call on a machine."""
    try:
        return Native(build.load_source(SOURCE, load_settings().data / "kernels", ("-fopenmp",)))
    except build.NoKernels as error:
        return str(error)


class Native:
    """`Parts` for bf16 rows on the CPU. See `handbook.train.kernels.twin.Parts` for what each does."""

    def __init__(self, library: ctypes.CDLL) -> None:
        for name, types in SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = types, None
        self.library = library

    def norm(self, x: Tensor, y: Tensor | None, weight: Tensor, eps: float, out: Tensor) -> Tensor:
        root = torch.empty(len(x), dtype=torch.float32)
        at_y = 0 if y is None else y.stride(0)
        self.library.norm(
            _of(x), _of(y), _of(weight), _of(out), _of(root), *x.shape, at_y, out.stride(0), eps, _threads()
        )
        return root

    def norm_back(
        self, grad: Tensor, slope: Tensor, x: Tensor, weight: Tensor, root: Tensor, narrow: Tensor
    ) -> None:
        pointers = map(_of, (grad, slope, x, weight, root, narrow))
        self.library.norm_back(*pointers, *x.shape, slope.stride(0), narrow.stride(0), _threads())

    def gate(self, both: Tensor, out: Tensor) -> None:
        self.library.gate(_of(both), _of(out), *out.shape, both.stride(0), out.stride(0), _threads())

    def gate_back(self, both: Tensor, slope: Tensor, out: Tensor, again: Tensor) -> None:
        tensors = (both, slope, out, again)
        strides = (tensor.stride(0) for tensor in tensors)
        self.library.gate_back(*map(_of, tensors), *again.shape, *strides, _threads())

    def turn(self, x: Tensor, cos: Tensor, sin: Tensor, heads: int, size: int, sign: float) -> None:
        self.library.turn(_of(x), _of(cos), _of(sin), len(x), heads, size, x.stride(0), sign, _threads())

    def attend(self, heads: Heads, stretches: Sequence[Stretch], qkv: Tensor, out: Tensor) -> Tensor:
        sums = torch.empty(heads.heads, len(qkv), dtype=torch.float32)
        shape, table = _shape(heads, qkv, out), _table(stretches)
        self.library.attend(shape, table, len(stretches), _of(qkv), _of(out), _of(sums))
        return sums

    def attend_back(
        self,
        heads: Heads,
        stretches: Sequence[Stretch],
        qkv: Tensor,
        y: Tensor,
        slope: Tensor,
        sums: Tensor,
        out: Tensor,
    ) -> None:
        starts = [i for i, stretch in enumerate(stretches) if stretch.prefix is None]
        groups = (c_int32 * (len(starts) + 1))(*starts, len(stretches))
        pointers = map(_of, (qkv, y, slope, sums, out))
        shape, table = _shape(heads, qkv, y), _table(stretches)
        self.library.attend_back(shape, table, groups, len(starts), *pointers, slope.stride(0), out.stride(0))

    def pick(self, logits: Tensor, targets: Tensor, slopes: bool) -> Tensor:
        found = torch.empty(len(logits), dtype=torch.float32)
        self.library.pick(_of(logits), _of(targets), _of(found), *logits.shape, int(slopes), _threads())
        return found


def _of(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _threads() -> int:
    return torch.get_num_threads()


def _shape(heads: Heads, qkv: Tensor, y: Tensor) -> ShapeStruct:
    sizes = (heads.heads, heads.kv_heads, heads.size, qkv.stride(0), y.stride(0), len(qkv))
    return ShapeStruct(*sizes, _threads(), heads.scale)


def _table(stretches: Sequence[Stretch]) -> "ctypes.Array[StretchStruct]":
    rows = []
    for stretch in stretches:
        first = None if stretch.prefix is None else stretches[stretch.prefix]
        rows.append(
            (stretch.begin, stretch.end, 0, 0)
            if first is None
            else (stretch.begin, stretch.end, first.begin, first.end)
        )
    return (StretchStruct * len(rows))(*(StretchStruct(*row) for row in rows))
