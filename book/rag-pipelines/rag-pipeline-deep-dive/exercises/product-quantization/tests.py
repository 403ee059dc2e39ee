"""Visible tests: the example there and back, distances that are those to the decoded, search, refusals."""

import numpy as np

BOOKS = np.array([[[0, 0], [1, 1]], [[0, 0], [2, 0]]], dtype=np.float32)
VECTORS = np.array([[0.9, 1.2, 0.1, 0.3], [0.2, -0.1, 1.5, 0.2]], dtype=np.float32)
QUERY = np.array([1.0, 0.5, 2.0, 0.0], dtype=np.float32)


def function(submission, name):
    found = getattr(submission, name, None)
    assert found, f"expected a function {name} beside distances, got none"
    return found


def check(got, expected, dtype, what):
    expected = np.asarray(expected, dtype=dtype)
    assert isinstance(got, np.ndarray), f"{what}: expected an array, got {type(got).__name__}"
    assert got.dtype == dtype, f"{what}: expected {np.dtype(dtype)}, got {got.dtype}"
    assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
    assert np.allclose(got, expected, rtol=1e-4, atol=1e-4), (
        f"{what}: expected {expected.tolist()}, got {got.tolist()}"
    )


def test_worked_codes(submission):
    check(function(submission, "encode")(VECTORS, BOOKS), [[1, 0], [0, 1]], np.uint8, "codes")


def test_worked_vectors(submission):
    codes = np.array([[1, 0], [0, 1]], dtype=np.uint8)
    expected = [[1, 1, 0, 0], [0, 0, 2, 0]]
    check(function(submission, "decode")(codes, BOOKS), expected, np.float32, "decoded vectors")


def test_worked_distances(submission):
    codes = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.uint8)
    check(submission.distances(QUERY, codes, BOOKS), [4.25, 1.25, 0.25], np.float32, "distances")


def test_worked_search(submission):
    search, codes = function(submission, "search"), np.array([[1, 0], [0, 1], [1, 1]], dtype=np.uint8)
    for k, expected in ((1, [2]), (2, [2, 1]), (9, [2, 1, 0]), (0, [])):
        got = search(QUERY, codes, BOOKS, k)
        assert got == expected, f"{k} nearest by code: expected {expected}, got {got}"


def test_true_distances_decide_among_the_best(submission):
    """By code 0 and 1 are one place; by vector 1 is nearer, and 2 nearest of all, but not among the best."""
    search = function(submission, "search")
    books = np.array([[[0.0], [5.0], [1.0]]], dtype=np.float32)
    vectors = np.array([[0.4], [0.1], [0.0]], dtype=np.float32)
    codes, query = np.array([[0], [0], [1]], dtype=np.uint8), np.zeros(1, np.float32)
    for refine, expected in ((1, [0]), (2, [1]), (3, [2])):
        got = search(query, codes, books, 1, vectors, refine)
        assert got == expected, f"refine = {refine}: expected {expected}, got {got}"


def test_books_that_do_not_fit_are_refused(submission):
    encode = function(submission, "encode")
    cases = {
        "4 numbers, 2 parts of 3": np.zeros((2, 4, 3), np.float32),
        "4 numbers, 3 parts of 1": np.zeros((3, 4, 1), np.float32),
        "257 centres": np.zeros((2, 257, 2), np.float32),
    }
    for what, books in cases.items():
        try:
            got = encode(VECTORS, books)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(f"{what}: expected ValueError, got {type(error).__name__}") from error
        raise AssertionError(f"{what}: expected ValueError, got codes of shape {got.shape}")
