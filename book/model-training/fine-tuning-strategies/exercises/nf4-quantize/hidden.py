"""Hidden tests: the nearest level, blocks across rows, small and large numbers, precisions, memory."""

import numpy as np

from handbook.practice.checks import inside

NF4 = np.array(
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
        -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
        0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ]
)  # fmt: skip


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_hand(weight, block):
    """A weight at a time, in double precision: scales, nearest levels, and whether the choice is clear."""
    flat = weight.astype(np.float64).ravel()
    scales, values, sure = [], [], []
    for start in range(0, len(flat), block):
        part = flat[start : start + block]
        scale = np.abs(part).max()
        scales.append(scale)
        for x in part:
            distance = np.abs(NF4 - (x / scale if scale else 0.0))
            first, second = np.sort(distance)[:2]
            sure.append(second - first > 1e-6)
            values.append(NF4[distance.argmin()] * scale)
    shape = weight.shape
    return np.array(scales), np.array(values).reshape(shape), np.array(sure).reshape(shape)


def check(got, expected, what, tolerance=0.0):
    expected = np.asarray(expected)
    assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
    assert np.isfinite(got).all(), f"{what}: expected finite numbers, got {got.ravel()[:6].tolist()}"
    off = np.abs(got.astype(np.float64) - expected)
    worst = np.unravel_index(off.argmax(), off.shape)
    assert off.max() <= tolerance, (
        f"{what}: expected {expected[worst]:.6g} at {[int(i) for i in worst]}, got {got[worst]:.6g}"
    )


def there_and_back(submission, weight, block):
    packed, scales = submission.quantize(weight, block)
    assert packed.dtype == np.uint8, f"bytes: expected uint8, got {packed.dtype}"
    assert scales.dtype == np.float32, f"scales: expected float32, got {scales.dtype}"
    back = submission.dequantize(packed, scales, weight.shape, block)
    assert back.dtype == np.float32, f"the weight that comes back: expected float32, got {back.dtype}"
    return packed, scales, back


def test_every_weight_goes_to_the_nearest_level(submission):
    for seed, (shape, block) in enumerate(
        [((8, 32), 64), ((3, 50), 16), ((7, 9), 4), ((5, 1), 64), ((1, 7), 2)]
    ):
        weight = noise(*shape, seed=seed)
        right_scales, right, sure = by_hand(weight, block)
        packed, scales, back = there_and_back(submission, weight, block)
        what = f"{shape[0]} x {shape[1]} in blocks of {block}"
        check(scales, right_scales, f"scales, {what}", 1e-6)
        assert packed.shape == (-(-weight.size // 2),), (
            f"bytes, {what}: expected {-(-weight.size // 2)}, got {packed.shape}"
        )
        check(np.where(sure, back, right), right, what, 1e-5)


def test_border_between_two_levels(submission):
    """Just below and just above each of the 15 means; largest magnitude 1 by the first of the block."""
    borders = (NF4[1:] + NF4[:-1]) / 2
    weight = np.concatenate([[1.0], borders - 1e-5, borders + 1e-5]).astype(np.float32)[None]
    _, _, back = there_and_back(submission, weight, 64)
    check(back, np.concatenate([[1.0], NF4[:-1], NF4[1:]])[None], "just beside the borders", 1e-6)


def test_largest_magnitude_may_be_negative(submission):
    weight = np.array([[-4.0, 2.0, 1.0, 0.0]], dtype=np.float32)
    _, scales, back = there_and_back(submission, weight, 4)
    check(scales, [4.0], "scale of -4, 2, 1, 0")
    assert back[0, 0] == -4.0, f"the largest comes back as it is: expected -4, got {back[0, 0]}"
    assert back[0, 1] > 0, f"2 keeps its sign: expected above 0, got {back[0, 1]}"


def test_blocks_run_on_from_row_to_row(submission):
    weight = np.array([[1.0, 1.0, 1.0], [100.0, 100.0, 100.0]], dtype=np.float32)
    _, scales, back = there_and_back(submission, weight, 2)
    check(scales, [1.0, 100.0, 100.0], "scales of 2 x 3 in blocks of 2")
    check(back, [[1.0, 1.0, 0.0], [100.0] * 3], "1 beside 100 in one block")


def test_last_block_is_shorter(submission):
    weight = np.full((1, 10), 0.5, dtype=np.float32)
    packed, scales, back = there_and_back(submission, weight, 8)
    check(scales, [0.5, 0.5], "scales of 10 weights in blocks of 8")
    assert len(packed) == 5, f"10 weights: expected 5 bytes, got {len(packed)}"
    check(back, weight, "10 weights and back")


def test_block_of_64_where_none_is_said(submission):
    for shape, expected in (((2, 64), 2), ((3, 43), 3)):
        weight = noise(*shape, seed=4)
        packed, scales = submission.quantize(weight)
        assert len(scales) == expected, (
            f"{weight.size} weights, block not given: expected {expected} scales, got {len(scales)}"
        )
        back = submission.dequantize(packed, scales, shape)
        check(back, submission.dequantize(packed, scales, shape, 64), "way back, block not given and 64")


def test_very_small_and_very_large_weights(submission):
    """1e-40 has no reciprocal in float32, and the squares of 3e38 none of their own."""
    for largest in (1e-40, 1e-30, 1e30, 3e38):
        weight = (NF4 * largest).astype(np.float32)[None]
        with np.errstate(all="ignore"):
            packed, _, back = there_and_back(submission, weight, 16)
        expected = [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF]
        assert packed.tolist() == expected, (
            f"levels times {largest}: expected {expected}, got {packed.tolist()}"
        )
        check(back / np.float32(largest), NF4[None], f"levels times {largest} and back", 1e-4)


def test_half_precision_is_computed_in_single(submission):
    weight = noise(16, 64, seed=5).astype(np.float16)
    packed, scales = submission.quantize(weight)
    right_packed, right_scales = submission.quantize(weight.astype(np.float32))
    assert scales.dtype == np.float32, f"scales of float16 weights: expected float32, got {scales.dtype}"
    check(scales, right_scales, "scales of float16 weights")
    different = int((packed != right_packed).sum())
    assert not different, (
        f"float16 beside the same numbers in float32: expected the same bytes, got {different} others"
    )


def test_half_way_up_in_half_precision(submission):
    """A float16 border would lie elsewhere: 41 numbers close to each of the borders."""
    borders = (NF4[1:] + NF4[:-1]) / 2
    near = (borders[:, None] + np.linspace(-2e-3, 2e-3, 41)).astype(np.float16)
    weight = np.concatenate([np.ones((15, 1), np.float16), near], axis=1)
    _, right, sure = by_hand(weight, 42)
    _, _, back = there_and_back(submission, weight, 42)
    check(np.where(sure, back, right), right, "float16 numbers near the borders", 1e-5)


def test_error_is_that_of_the_format(submission):
    """Root mean square over that of the weights: 0.09 for normal weights in blocks of 64."""
    weight = noise(64, 256, seed=6)
    _, _, back = there_and_back(submission, weight, 64)
    error = float(np.sqrt(np.square(back - weight).mean()))
    assert 0.08 < error < 0.1, f"error of normal weights: expected 0.08 to 0.1, got {error:.3f}"


def quantized_view(submission, weight, block):
    """A driver: the codes and scales of a transposed view, and the array that it is a view of."""
    packed, scales = submission.quantize(weight.T, block)
    return packed, scales, weight


def test_transposed_view_and_arguments_kept(submission):
    weight = noise(6, 10, seed=7)
    kept = weight.copy()
    packed, scales, now = inside(submission, quantized_view, weight, 8)
    assert np.array_equal(now, kept), "weight: expected unchanged, got a changed array"
    back = submission.dequantize(packed, scales, (10, 6), 8)
    right_scales, right, sure = by_hand(np.ascontiguousarray(weight.T), 8)
    check(scales, right_scales, "scales of a transposed view", 1e-6)
    check(np.where(sure, back, right), right, "a transposed view", 1e-5)
    bytes_before, scales_before = packed.copy(), scales.copy()
    submission.dequantize(packed, scales, (10, 6), 8)
    assert np.array_equal(packed, bytes_before), "packed: expected unchanged, got changed bytes"
    assert np.array_equal(scales, scales_before), "scales: expected unchanged, got changed ones"


def peak(submission, name, args):
    """A driver: bytes at most while it runs, and what came of it."""
    import tracemalloc

    tracemalloc.start()
    try:
        got = getattr(submission, name)(*args)
        return tracemalloc.get_traced_memory()[1], got
    finally:
        tracemalloc.stop()


def test_no_table_of_all_distances(submission):
    weight = noise(256, 512, seed=8)
    most, _ = inside(submission, peak, "quantize", (weight,))
    share = most / weight.nbytes
    assert share < 8, f"memory while quantising, in sizes of the weight: expected below 8, got {share:.1f}"
