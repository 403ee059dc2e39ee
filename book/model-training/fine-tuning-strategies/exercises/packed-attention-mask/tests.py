"""Visible tests: the example, one document, a row without padding, documents of one token."""

import numpy as np

EXAMPLE = """
1 0 0 0 0 0
1 1 0 0 0 0
1 1 1 0 0 0
0 0 0 1 0 0
0 0 0 1 1 0
0 0 0 0 0 1
"""


def check(got, expected, dtype, what):
    expected = np.asarray(expected, dtype=dtype)
    assert isinstance(got, np.ndarray), f"{what}: expected a NumPy array, got {type(got).__name__}"
    assert got.dtype == dtype, f"{what}: expected {np.dtype(dtype)}, got {got.dtype}"
    assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
    assert np.array_equal(got, expected), (
        f"{what}: expected {expected.astype(int).tolist()}, got {got.astype(int).tolist()}"
    )


def test_worked_mask(submission):
    expected = [[int(x) for x in line.split()] for line in EXAMPLE.split("\n") if line]
    check(submission.packed_mask([0, 3, 5], 6), expected, bool, "mask of the example")


def test_worked_positions(submission):
    check(submission.positions([0, 3, 5], 6), [0, 1, 2, 0, 1, 0], np.int64, "positions of the example")


def test_worked_targets(submission):
    tokens = np.array([11, 12, 13, 21, 22, 0])
    counted = np.array([False, True, True, False, True, False])
    got = submission.targets(tokens, counted, [0, 3, 5])
    check(got, [12, 13, -100, 22, -100, -100], np.int64, "targets of the example")


def test_one_document_is_causal_attention(submission):
    check(submission.packed_mask([0, 5], 5), np.tril(np.ones((5, 5))), bool, "mask of one document of 5")
    check(submission.positions([0, 5], 5), np.arange(5), np.int64, "positions of one document of 5")
    got = submission.targets(np.arange(10, 15), np.ones(5, dtype=bool), [0, 5])
    check(got, [11, 12, 13, 14, -100], np.int64, "targets of one document, all counted")


def test_documents_of_one_token(submission):
    bounds = [0, 1, 2, 3]
    check(submission.packed_mask(bounds, 3), np.eye(3), bool, "mask of three documents of one token")
    check(submission.positions(bounds, 3), [0, 0, 0], np.int64, "positions of three documents of one token")
    got = submission.targets(np.array([5, 6, 7]), np.ones(3, dtype=bool), bounds)
    check(got, [-100] * 3, np.int64, "targets of three documents of one token")
