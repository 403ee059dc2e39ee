"""How Python calls the kernels: the structures as they lie in memory, and the functions' signatures."""

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_float, c_int32, c_int64, c_void_p

FP32, BF16, INT8, INT4 = 0, 1, 2, 3
STORE, ADD, SILU = 0, 1, 2

Library = ctypes.CDLL


class LinearStruct(Structure):
    """`struct Linear` of products.h."""

    _fields_ = [
        *((name, c_int32) for name in ("kind", "outputs", "inputs", "after", "rotate")),
        ("eps", c_float),
        *((name, c_void_p) for name in ("panels", "scales", "starts", "bias", "norm")),
    ]


class StepStruct(Structure):
    """`struct Step` of attention.h; kind is of the cache."""

    _fields_ = [
        *((name, c_int32) for name in ("rows", "heads", "kv_heads", "head_dim", "page", "kind", "threads")),
        ("scale", c_float),
        *((name, c_void_p) for name in ("sequence", "position", "tables", "pages", "cos", "sin")),
    ]


class CacheStruct(Structure):
    """`struct Cache` of attention.h: where a layer's keys and values lie."""

    _fields_ = [(name, c_void_p) for name in ("keys", "values", "key_scales", "value_scales")]


class LayerStruct(Structure):
    """`struct Layer` of kernels.cpp."""

    _fields_ = [
        *((name, POINTER(LinearStruct)) for name in ("qkv", "out", "gate_up", "down")),
        ("cache", CacheStruct),
    ]


class LowStruct(Structure):
    """`struct Low` of low.h; all zero where an adapter adds nothing to a product."""

    _fields_ = [
        *((name, c_int32) for name in ("kind", "ranks")),
        *((name, c_void_p) for name in ("a", "b", "scales", "halves")),
    ]


Lows = POINTER(LowStruct)


class ChosenStruct(Structure):
    """`struct Chosen` of low.h."""

    _fields_ = [("of", c_void_p), ("lows", POINTER(Lows))]


def declare(library: Library) -> Library:
    """Give the functions their types."""
    library.lanes.restype = c_char_p
    library.large_pages.argtypes, library.large_pages.restype = [c_void_p, c_int64], None
    library.attends.argtypes, library.attends.restype = [c_int32], c_int32
    library.linear.argtypes = [POINTER(LinearStruct), c_void_p, c_void_p, c_int32, c_int32]
    library.linear.restype = None
    library.attend.argtypes = [POINTER(StepStruct), c_void_p, POINTER(CacheStruct), c_void_p]
    library.attend.restype = None
    library.likeliest.argtypes = [POINTER(LinearStruct), c_void_p, c_void_p, c_int32, c_int32]
    library.likeliest.restype = None
    library.forward.argtypes = [POINTER(LayerStruct), c_int32, POINTER(StepStruct), *[c_void_p] * 4, c_void_p]
    library.forward.restype = None
    library.read_all.argtypes, library.read_all.restype = [c_void_p, c_int64, c_int32], c_int64
    return library


__all__ = [
    "ADD", "BF16", "FP32", "INT4", "INT8", "SILU", "STORE",
    "CacheStruct", "ChosenStruct", "LayerStruct", "Library", "LinearStruct", "LowStruct", "Lows",
    "StepStruct", "declare",
]  # fmt: skip
