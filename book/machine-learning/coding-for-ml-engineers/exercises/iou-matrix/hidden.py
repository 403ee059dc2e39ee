"""Hidden tests: pixels counted one by one, no area, small integers, empty sets, symmetry, size."""

import numpy as np

from handbook.practice.checks import close, equal, raises, unchanged


def boxes(rng, count, size):
    corners = np.sort(rng.integers(0, size + 1, (count, 2, 2)), axis=1)  # low corner before high
    return corners.reshape(count, 4)


def test_counted_pixels_agree(submission):
    """Boxes on a grid, the cells of intersection and union counted."""
    rng = np.random.default_rng(1)
    a, b = boxes(rng, 20, 9), boxes(rng, 15, 9)
    expected = np.zeros((20, 15))
    for i, box in enumerate(a):
        for j, other in enumerate(b):
            grids = np.zeros((2, 9, 9), dtype=bool)
            for grid, (x1, y1, x2, y2) in zip(grids, (box, other), strict=True):
                grid[x1:x2, y1:y2] = True
            covered = (grids[0] | grids[1]).sum()
            expected[i, j] = (grids[0] & grids[1]).sum() / covered if covered else 0.0
    close(submission.iou_matrix(a, b), expected, "20 by 15 boxes on a grid of 9 by 9")


def test_no_area_is_zero(submission):
    """Points and lines: no division by zero, no NaN, no warning, and 0 inside a real box."""
    flat = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 1.0]])
    close(submission.iou_matrix(flat, flat), np.zeros((2, 2)), "a point and a line with each other")
    real = np.array([[0.0, 0.0, 3.0, 3.0]])
    close(submission.iou_matrix(flat, real), np.zeros((2, 1)), "a point and a line in a box")


def test_small_integers_do_not_overflow(submission):
    """A box of 200 by 200 pixels in uint8 and int16 has 40,000, which neither holds."""
    for kind in (np.uint8, np.int16):
        a = np.array([[0, 0, 200, 200]]).astype(kind)
        b = np.array([[100, 0, 200, 200], [200, 200, 210, 210]]).astype(kind)
        what = f"boxes as {np.dtype(kind)}"
        close(submission.iou_matrix(a, b), np.array([[0.5, 0.0]]), what, dtype=np.float64)


def test_float32_is_computed_in_float64(submission):
    """Boxes of float32 far from the origin keep their areas."""
    a = np.array([[4096.0, 4096.0, 4097.5, 4097.5]], dtype=np.float32)
    b = np.array([[4096.5, 4096.0, 4097.5, 4099.25]], dtype=np.float32)
    expected = np.array([[1.5 / (2.25 + 3.25 - 1.5)]])
    got = submission.iou_matrix(a, b)
    close(got, expected, "float32 boxes", rtol=1e-12, dtype=np.float64)
    third = np.array([[0.0, 0.0, 0.1, 0.3]], dtype=np.float32)
    wide = np.array([[0.0, 0.0, 0.7, 0.3]], dtype=np.float32)
    x = np.float64(np.float32(0.1)) / np.float64(np.float32(0.7))
    close(submission.iou_matrix(third, wide), np.array([[x]]), "sides that float32 rounds", rtol=1e-12)


def test_empty_sets(submission):
    """No proposals, or no annotations: an empty matrix of the right shape."""
    none, two = np.zeros((0, 4)), np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 2.0, 1.0]])
    for a, b in ((none, two), (two, none), (none, none)):
        got = submission.iou_matrix(a, b)
        equal(got.shape, (len(a), len(b)), f"shape for {len(a)} and {len(b)} boxes")


def test_other_shapes_and_nan_are_refused(submission):
    """One box without its axis, three numbers a box, an extra axis, a NaN."""
    good = np.array([[0.0, 0.0, 1.0, 1.0]])
    for bad in (good[0], good[:, :3], good[None], np.array([[0.0, 0.0, np.nan, 1.0]])):
        raises(ValueError, submission.iou_matrix, bad, good, what=f"a = {bad.tolist()}")
        raises(ValueError, submission.iou_matrix, good, bad, what=f"b = {bad.tolist()}")


def test_swapping_transposes(submission):
    """IoU is symmetric, and at most 1."""
    rng = np.random.default_rng(2)
    a = np.sort(rng.normal(size=(40, 2, 2)), axis=1).reshape(40, 4)
    b = np.sort(rng.normal(size=(30, 2, 2)), axis=1).reshape(30, 4)
    got = submission.iou_matrix(a, b)
    close(submission.iou_matrix(b, a), got.T, "arguments swapped", rtol=1e-12)
    assert 0.0 <= got.min() <= got.max() <= 1.0, f"expected values in 0 to 1, got {got.min()} to {got.max()}"


def test_many_boxes_and_arguments_unchanged(submission):
    """1,500 by 1,500 pairs in one go; sample entries checked by hand."""
    rng = np.random.default_rng(3)
    low = rng.uniform(0, 600, (1500, 2))
    a = np.concatenate((low, low + rng.uniform(1, 80, (1500, 2))), axis=1)
    b, kept = a[::-1].copy(), a.copy()
    got = submission.iou_matrix(a, b)
    close(np.diagonal(got[:, ::-1]), np.ones(1500), "each box with itself, found from the other end")
    unchanged(a, kept, "a")
    unchanged(b, kept[::-1], "b")
