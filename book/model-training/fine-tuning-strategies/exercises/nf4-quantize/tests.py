"""Visible tests: the example, the levels themselves, a block of zeros, an odd number, bad weights."""

import numpy as np


def check(got, expected, dtype, what, tolerance=0.0):
    expected = np.asarray(expected, dtype=dtype)
    assert isinstance(got, np.ndarray), f"{what}: expected a NumPy array, got {type(got).__name__}"
    assert got.dtype == dtype, f"{what}: expected {np.dtype(dtype)}, got {got.dtype}"
    assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
    off = np.abs(got.astype(np.float64) - expected).max()
    assert off <= tolerance, (
        f"{what}: expected {np.round(expected, 4).tolist()}, got {np.round(got, 4).tolist()}"
    )


def test_worked_example(submission):
    packed, scales = submission.quantize(np.array([[0.5, -2.0, 0.1, 0.0, 3.0]]), 4)
    check(scales, [2.0, 3.0], np.float32, "scales of the example")
    check(packed, [160, 135, 247], np.uint8, "bytes of the example")
    back = submission.dequantize(packed, scales, (1, 5), 4)
    check(back, [[0.4922, -2.0, 0.1592, 0.0, 3.0]], np.float32, "the example and back", 5e-5)


def test_levels_come_back_as_they_are(submission):
    weight = np.stack([submission.NF4 * 8, submission.NF4[::-1] * 0.25])
    packed, scales = submission.quantize(weight, 16)
    check(scales, [8.0, 0.25], np.float32, "scales")
    check(packed[:8], [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF], np.uint8, "bytes of levels 0 to 15")
    check(
        submission.dequantize(packed, scales, (2, 16), 16), weight, np.float32, "levels times 8 and times 1/4"
    )


def test_block_of_zeros(submission):
    weight = np.array([[0.0, 0.0], [3.0, -3.0]], dtype=np.float32)
    with np.errstate(all="ignore"):
        packed, scales = submission.quantize(weight, 2)
    check(scales, [0.0, 3.0], np.float32, "scales of a block of zeros and another")
    check(packed, [0x77, 0xF0], np.uint8, "their bytes")
    check(submission.dequantize(packed, scales, (2, 2), 2), weight, np.float32, "zeros and back")


def test_odd_number_of_weights(submission):
    weight = np.array([[1.0, -1.0, 1.0]] * 3, dtype=np.float32)
    packed, scales = submission.quantize(weight)
    check(packed, [0xF0, 0xFF, 0x0F, 0xF0, 0xF7], np.uint8, "nine weights, five bytes")
    check(scales, [1.0], np.float32, "scales of one block that isn't full")
    check(submission.dequantize(packed, scales, (3, 3)), weight, np.float32, "nine weights and back")


def test_bad_weights_are_refused(submission):
    good = np.ones((2, 4), dtype=np.float32)
    bad = {
        "a vector": (good[0], 4),
        "no weights": (good[:0], 4),
        "a NaN": (np.where(np.arange(4) == 2, np.nan, good), 4),
        "an infinity": (np.where(np.arange(4) == 2, -np.inf, good), 4),
        "blocks of 1": (good, 1),
    }
    for what, (weight, block) in bad.items():
        try:
            with np.errstate(all="ignore"):
                got = submission.quantize(weight, block)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(f"{what}: expected ValueError, got {type(error).__name__}") from error
        raise AssertionError(f"{what}: expected ValueError, got {got}")
