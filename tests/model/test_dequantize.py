"""Every block format, bit for bit against the gguf package, and some by hand."""

import gguf
import numpy as np
import pytest
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from handbook.errors import ModelFileError
from handbook.model.weights import dequantize as module
from handbook.model.weights.dequantize import DECODERS, dequantize

VIEW = {GGMLQuantizationType.F32: np.float32, GGMLQuantizationType.F16: np.float16}


@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")  # random scales hold inf and NaN
@pytest.mark.parametrize("kind", DECODERS, ids=lambda kind: kind.name)
def test_bit_for_bit_as_the_gguf_package(kind):
    weights, size = GGML_QUANT_SIZES[kind]
    count = module.CHUNK // weights * 2 + 24  # more than two chunks, and a rest
    raw = np.random.default_rng(int(kind)).integers(0, 256, (8, count // 8 * size), dtype=np.uint8)
    if kind not in VIEW and kind != GGMLQuantizationType.BF16:
        raw.reshape(-1, size)[: count // 2] &= 0xBF  # half of the blocks without inf and NaN
    expected = gguf.dequantize(raw.view(VIEW.get(kind, np.uint8)), kind).astype(np.float32)
    got = dequantize(raw.ravel(), kind, expected.shape)
    assert got.dtype == np.float32
    assert np.isfinite(expected).mean() > 0.4
    np.testing.assert_array_equal(got, expected)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(expected[number]))


def block(*parts: bytes | np.ndarray) -> np.ndarray:
    return np.frombuffer(b"".join(bytes(part) for part in parts), dtype=np.uint8)


def half(value: float) -> bytes:
    return np.float16(value).tobytes()


def test_q4_1_by_hand():
    """d = 0.5, m = -1; byte i holds weight i in its low half and weight i + 16 in its high half."""
    packed = np.array([i | (15 - i) << 4 for i in range(16)], dtype=np.uint8)
    got = dequantize(block(half(0.5), half(-1.0), packed), GGMLQuantizationType.Q4_1, (32,))
    assert got.tolist() == [0.5 * i - 1 for i in range(16)] + [0.5 * (15 - i) - 1 for i in range(16)]


def test_q8_0_by_hand():
    numbers = np.arange(-16, 16, dtype=np.int8)
    got = dequantize(block(half(0.25), numbers), GGMLQuantizationType.Q8_0, (32,))
    assert got.tolist() == [0.25 * i for i in range(-16, 16)]


def q6_k_plain(raw: np.ndarray) -> list[float]:
    """Q6_K weight by weight, as ggml's dequantize_row_q6_K has it."""
    low, high, scales = raw[:128], raw[128:192], raw[192:208].view(np.int8)
    d = np.float32(raw[208:210].view(np.float16)[0])
    out = [np.float32(0)] * 256
    for n in range(2):
        for i in range(32):
            for row in range(4):
                byte = int(low[64 * n + 32 * (row % 2) + i])
                q = (byte >> 4 if row >= 2 else byte & 15) | (int(high[32 * n + i]) >> 2 * row & 3) << 4
                scale = np.float32(scales[8 * n + 2 * row + i // 16])
                out[128 * n + 32 * row + i] = (d * scale) * np.float32(q - 32)
    return [float(value) for value in out]


def q5_k_plain(raw: np.ndarray) -> list[float]:
    """Q5_K weight by weight, as ggml's dequantize_row_q5_K and get_scale_min_k4 have it."""
    d, dmin = (np.float32(raw[at : at + 2].view(np.float16)[0]) for at in (0, 2))
    packed, bits, low = raw[4:16], raw[16:48], raw[48:]
    out = []
    for g in range(8):
        if g < 4:
            scale, minimum = packed[g] & 63, packed[g + 4] & 63
        else:
            scale = packed[g + 4] & 15 | packed[g - 4] >> 6 << 4
            minimum = packed[g + 4] >> 4 | packed[g] >> 6 << 4
        for i in range(32):
            byte = int(low[32 * (g // 2) + i])
            q = (byte >> 4 if g % 2 else byte & 15) + 16 * (int(bits[i]) >> g & 1)
            out.append(d * np.float32(scale) * np.float32(q) - dmin * np.float32(minimum))
    return [float(value) for value in out]


@pytest.mark.parametrize(
    ("kind", "plain"), [(GGMLQuantizationType.Q6_K, q6_k_plain), (GGMLQuantizationType.Q5_K, q5_k_plain)]
)
def test_k_formats_weight_by_weight(kind, plain):
    raw = np.random.default_rng(0).integers(0, 256, GGML_QUANT_SIZES[kind][1], dtype=np.uint8)
    for at in (0, 2, 208):
        raw[at + 1 : at + 2] = 0x2C  # the scales are finite
    assert dequantize(raw, kind, (256,)).tolist() == plain(raw)


def test_another_format_is_named():
    with pytest.raises(ModelFileError, match=r"type IQ2_XXS; this reader knows BF16, F16, F32, Q4_0"):
        dequantize(np.zeros(66, dtype=np.uint8), GGMLQuantizationType.IQ2_XXS, (256,))
