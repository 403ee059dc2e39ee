"""How Python calls kernels.cpp: the structures as they lie in memory, and the functions' signatures."""

import ctypes
from ctypes import POINTER, Structure, c_float, c_int32, c_int64, c_void_p

FP32, BF16, INT8 = 0, 1, 2
STORE, ADD, SILU = 0, 1, 2

Library = ctypes.PyDLL


class LinearStruct(Structure):
    """`struct Linear` of kernels.cpp."""

    _fields_ = [
        *((name, c_int32) for name in ("kind", "outputs", "inputs", "after", "rotate")),
        ("eps", c_float),
        *((name, c_void_p) for name in ("panels", "scales", "starts", "bias", "norm")),
    ]


class StepStruct(Structure):
    """`struct Step` of kernels.cpp."""

    _fields_ = [
        *((name, c_int32) for name in ("rows", "heads", "kv_heads", "head_dim", "page", "bf16", "threads")),
        ("scale", c_float),
        *((name, c_void_p) for name in ("sequence", "position", "tables", "pages", "cos", "sin")),
    ]


def declare(library: Library) -> Library:
    """Give the functions their types."""
    library.kinds.restype = c_int32
    library.large_pages.argtypes, library.large_pages.restype = [c_void_p, c_int64], None
    library.attends.argtypes, library.attends.restype = [c_int32], c_int32
    library.linear.argtypes = [POINTER(LinearStruct), c_void_p, c_void_p, c_int32, c_int32]
    library.linear.restype = None
    library.attend.argtypes = [POINTER(StepStruct), c_void_p, c_void_p, c_void_p, c_void_p]
    library.attend.restype = None
    return library


__all__ = ["ADD", "BF16", "FP32", "INT8", "SILU", "STORE", "Library", "LinearStruct", "StepStruct", "declare"]
