"""GGUF's block formats, back to fp32. Exactly: the same products and sums in the same order as llama.cpp.

A block holds a few scales and its weights as small integers. The plain formats (Q4_0 to Q8_0) have 32 weights
to a block and one fp16 scale d, some also a minimum m: w = d * q + m. The K formats have 256 weights in 8 or
16 groups whose scales are themselves integers, times one fp16 scale for the whole block. Layouts: ggml's
`ggml-common.h`.

Axes: N blocks. Bytes come as [N, bytes of a block], values leave as fp32 [N, weights of a block].
"""

from collections.abc import Callable

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from numpy.typing import NDArray

from handbook.errors import ModelFileError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
CHUNK = 1 << 16  # weights decoded at a time: few enough that the steps between stay in the processor's cache


def dequantize(data: Bytes, kind: GGMLQuantizationType, shape: tuple[int, ...]) -> Floats:
    """Raw bytes of a tensor -> fp32 of `shape`. Raises ModelFileError for a format that isn't here."""
    decode = DECODERS.get(kind)
    if decode is None:
        known = ", ".join(sorted(k.name for k in DECODERS))
        raise ModelFileError(
            f"The file holds tensors of type {kind.name}; this reader knows {known}.",
            "Fetch the model in one of those formats.",
        )
    weights, size = GGML_QUANT_SIZES[kind]
    blocks = data.reshape(-1, size)
    values = np.empty((len(blocks), weights), dtype=np.float32)
    step = CHUNK // weights
    for start in range(0, len(blocks), step):
        values[start : start + step] = decode(blocks[start : start + step])
    return values.reshape(shape)


def half(blocks: Bytes, at: int) -> Floats:
    """The fp16 number at byte `at` of every block -> [N, 1]."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).astype(np.float32)


def nibbles(packed: Bytes) -> Bytes:
    """Two 4-bit numbers a byte, [N, 16] -> [N, 32]: all low halves, then all high halves."""
    return np.concatenate((packed & 0x0F, packed >> 4), axis=1)


def fifth_bits(blocks: Bytes, at: int) -> Bytes:
    """The 32 bits at byte `at`, as 0 or 16 -> [N, 32]."""
    return np.unpackbits(blocks[:, at : at + 4], axis=1, bitorder="little") << np.uint8(4)


def f32(blocks: Bytes) -> Floats:
    return blocks.view(np.float32)


def f16(blocks: Bytes) -> Floats:
    return blocks.view(np.float16).astype(np.float32)


def bf16(blocks: Bytes) -> Floats:
    """The upper half of an fp32."""
    return (blocks.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def q4_0(blocks: Bytes) -> Floats:
    """d, 16 bytes of nibbles: w = d * (q - 8)."""
    return half(blocks, 0) * (nibbles(blocks[:, 2:]).astype(np.float32) - 8)


def q4_1(blocks: Bytes) -> Floats:
    """d, m, 16 bytes of nibbles: w = d * q + m."""
    return half(blocks, 0) * nibbles(blocks[:, 4:]).astype(np.float32) + half(blocks, 2)


def q5_0(blocks: Bytes) -> Floats:
    """d, 4 bytes of fifth bits, 16 bytes of nibbles: w = d * (q - 16)."""
    q = nibbles(blocks[:, 6:]) | fifth_bits(blocks, 2)
    return half(blocks, 0) * (q.astype(np.float32) - 16)


def q5_1(blocks: Bytes) -> Floats:
    """d, m, 4 bytes of fifth bits, 16 bytes of nibbles: w = d * q + m."""
    q = nibbles(blocks[:, 8:]) | fifth_bits(blocks, 4)
    return half(blocks, 0) * q.astype(np.float32) + half(blocks, 2)


def q8_0(blocks: Bytes) -> Floats:
    """d, 32 signed bytes: w = d * q."""
    return half(blocks, 0) * blocks[:, 2:].view(np.int8).astype(np.float32)


def scales_and_minima(packed: Bytes) -> tuple[Floats, Floats]:
    """Q4_K's and Q5_K's 12 bytes of 6-bit numbers, [N, 12] -> scale and minimum of the 8 groups, [N, 8] each.

    Bytes 0 to 3 hold the scales of groups 0 to 3 in their low six bits, bytes 4 to 7 the minima. Of groups 4
    to 7, bytes 8 to 11 hold the low four bits of both, and the top two bits of bytes 0 to 7 the high two.
    """
    first, second, third = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.concatenate((first & 63, (third & 15) | (first >> 6 << 4)), axis=1)
    minima = np.concatenate((second & 63, (third >> 4) | (second >> 6 << 4)), axis=1)
    return scales.astype(np.float32), minima.astype(np.float32)


def k_nibbles(packed: Bytes) -> Bytes:
    """128 bytes -> [N, 8, 32]: every 32 bytes hold two groups, one in the low halves and one in the high."""
    four = packed.reshape(-1, 4, 1, 32)
    return np.concatenate((four & 0x0F, four >> 4), axis=2).reshape(-1, 8, 32)


def in_groups(blocks: Bytes, q: Bytes) -> Floats:
    """w = (d * scale) * q - (dmin * minimum), by group: q [N, 8, 32] -> [N, 256]."""
    scales, minima = scales_and_minima(blocks[:, 4:16])
    d, m = (half(blocks, 0) * scales)[..., None], (half(blocks, 2) * minima)[..., None]
    return (d * q.astype(np.float32) - m).reshape(-1, 256)


def q4_k(blocks: Bytes) -> Floats:
    """d, dmin, 12 bytes of scales and minima, 128 bytes of nibbles."""
    return in_groups(blocks, k_nibbles(blocks[:, 16:]))


def q5_k(blocks: Bytes) -> Floats:
    """As Q4_K, with 32 bytes before the nibbles: bit g of byte i is the fifth bit of weight i of group g."""
    fifth = np.unpackbits(blocks[:, 16:48, None], axis=2, bitorder="little")  # [N, 32, 8]
    return in_groups(blocks, k_nibbles(blocks[:, 48:]) + np.uint8(16) * fifth.transpose(0, 2, 1))


def q6_k(blocks: Bytes) -> Floats:
    """128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales, d: w = d * scale * (q - 32).

    Each half of the block has 128 weights in four rows of 32; their nibbles lie in 64 bytes (rows 0 and 1
    low, rows 2 and 3 high), their upper pairs in 32 bytes, row r at bit 2r.
    """
    low = blocks[:, :128].reshape(-1, 2, 1, 64)
    low = np.concatenate((low & 0x0F, low >> 4), axis=2).reshape(-1, 2, 4, 32)
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> np.arange(0, 8, 2, dtype=np.uint8)[:, None] & 3
    q = (low | high << 4).astype(np.int8) - 32
    scales = half(blocks, 208) * blocks[:, 192:208].view(np.int8).astype(np.float32)  # [N, 16]
    return (scales[..., None] * q.reshape(-1, 16, 16).astype(np.float32)).reshape(-1, 256)


DECODERS: dict[GGMLQuantizationType, Callable[[Bytes], Floats]] = {
    GGMLQuantizationType.F32: f32,
    GGMLQuantizationType.F16: f16,
    GGMLQuantizationType.BF16: bf16,
    GGMLQuantizationType.Q4_0: q4_0,
    GGMLQuantizationType.Q4_1: q4_1,
    GGMLQuantizationType.Q5_0: q5_0,
    GGMLQuantizationType.Q5_1: q5_1,
    GGMLQuantizationType.Q8_0: q8_0,
    GGMLQuantizationType.Q4_K: q4_k,
    GGMLQuantizationType.Q5_K: q5_k,
    GGMLQuantizationType.Q6_K: q6_k,
}
