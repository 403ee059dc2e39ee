"""Reading GGUF, llama.cpp's one-file format: metadata, then a table of tensors, then their bytes.

The layout is from ggml's specification (github.com/ggml-org/ggml, docs/gguf.md); type numbers and block sizes
come from the `gguf` package. Its own reader takes seconds for a large vocabulary (it makes arrays of every
string), so the header is read here; a test holds the two equal. Every count and offset is checked against the
file's size before anything is allocated from it.
"""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType
from numpy.typing import NDArray

from handbook.errors import ModelFileError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
REMEDY = "The download was cut off or the file is damaged: remove it and fetch it again."
_SCALARS = {
    GGUFValueType.UINT8: "B",
    GGUFValueType.INT8: "b",
    GGUFValueType.UINT16: "H",
    GGUFValueType.INT16: "h",
    GGUFValueType.UINT32: "I",
    GGUFValueType.INT32: "i",
    GGUFValueType.FLOAT32: "f",
    GGUFValueType.BOOL: "?",
    GGUFValueType.UINT64: "Q",
    GGUFValueType.INT64: "q",
    GGUFValueType.FLOAT64: "d",
}


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """A tensor as it lies in the file: its shape in torch's order (rows first) and its raw bytes, a view."""

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    data: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class GgufFile:
    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]


def read_gguf(path: Path) -> GgufFile:
    """Read the header; tensors stay in the file until their bytes are touched.

    Raises ModelFileError for anything that isn't a whole GGUF file, version 2 or 3, little endian.
    """
    if path.stat().st_size < 24:
        raise _fault(path, f"a GGUF header has 24 bytes, this file {path.stat().st_size}")
    with path.open("rb") as file:
        bytes_ = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    cursor = _Cursor(path, bytes_)
    if (magic := cursor.take(4)) != MAGIC:
        raise _fault(path, f"a GGUF file begins with {MAGIC!r}, this one with {magic!r}")
    if (version := cursor.number("I")) not in VERSIONS:
        raise _fault(path, f"expected GGUF version {VERSIONS}, little endian, got {version}")
    tensor_count, value_count = cursor.number("Q"), cursor.number("Q")
    metadata: dict[str, Any] = {}
    for _ in range(cursor.fits(value_count, 12)):  # a key's length and a type, at the least
        key = cursor.string()
        metadata[key] = cursor.value(cursor.number("I"))
    heads = [_tensor_head(cursor) for _ in range(cursor.fits(tensor_count, 24))]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment % 8:
        raise _fault(path, f"the alignment is {alignment!r}")
    start = math.ceil(cursor.at / alignment) * alignment
    whole = np.frombuffer(bytes_, dtype=np.uint8)
    tensors = {head[0]: _tensor(path, whole, start, *head) for head in heads}
    if len(tensors) != len(heads):
        raise _fault(path, "two tensors have the same name")
    return GgufFile(path, metadata, tensors)


def _tensor_head(cursor: "_Cursor") -> tuple[str, tuple[int, ...], int, int]:
    """Name, shape in torch's order, type number, offset."""
    name, axes = cursor.string(), cursor.number("I")
    if not 1 <= axes <= 4:
        raise _fault(cursor.path, f"{name!r} has {axes} axes; 1 to 4 are possible")
    shape = tuple(cursor.number("Q") for _ in range(axes))[::-1]
    return name, shape, cursor.number("I"), cursor.number("Q")


def _tensor(
    path: Path,
    whole: NDArray[np.uint8],
    start: int,
    name: str,
    shape: tuple[int, ...],
    kind: int,
    offset: int,
) -> GgufTensor:
    try:
        type_ = GGMLQuantizationType(kind)
    except ValueError:
        raise _fault(path, f"{name!r} has the unknown tensor type {kind}") from None
    block, block_bytes = GGML_QUANT_SIZES[type_]
    if shape[-1] % block:
        raise _fault(path, f"a row of {name!r} has {shape[-1]} values, not a multiple of {block}")
    size = math.prod(shape) // block * block_bytes
    begin, end = start + offset, start + offset + size
    if end > len(whole):
        raise _fault(path, f"{name!r} should end at byte {end}, the file ends at {len(whole)}")
    return GgufTensor(name, shape, type_, whole[begin:end])


class _Cursor:
    """Reads forward and never past the end."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.at = path, data, 0

    def fits(self, count: int, smallest: int) -> int:
        """`count`, when that many things of at least `smallest` bytes can still follow."""
        if count * smallest > len(self.data) - self.at:
            raise _fault(
                self.path, f"at byte {self.at} it announces {count} entries, more than fit in the file"
            )
        return count

    def take(self, size: int) -> bytes:
        end = self.at + self.fits(size, 1)
        taken, self.at = self.data[self.at : end], end
        return taken

    def number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def string(self) -> str:
        size = self.number("Q")
        try:
            return self.take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise _fault(self.path, f"the string before byte {self.at} is not UTF-8") from None

    def value(self, kind: int) -> Any:
        """A metadata value: a scalar, a string or a list of either."""
        if kind in _SCALARS:
            return self.number(_SCALARS[GGUFValueType(kind)])
        if kind == GGUFValueType.STRING:
            return self.string()
        if kind == GGUFValueType.ARRAY:
            return self.array(self.number("I"), self.number("Q"))
        raise _fault(self.path, f"unknown metadata type {kind} before byte {self.at}")

    def array(self, kind: int, count: int) -> list[Any]:
        if kind in _SCALARS:
            code = _SCALARS[GGUFValueType(kind)]
            size = self.fits(count, struct.calcsize(f"<{code}")) * struct.calcsize(f"<{code}")
            return list(struct.unpack(f"<{count}{code}", self.take(size)))
        if kind == GGUFValueType.STRING:
            return [self.string() for _ in range(self.fits(count, 8))]
        raise _fault(self.path, f"an array of metadata type {kind} before byte {self.at}")


def _fault(path: Path, what: str) -> ModelFileError:
    return ModelFileError(f"{path} is not a usable GGUF file: {what}.", REMEDY)
