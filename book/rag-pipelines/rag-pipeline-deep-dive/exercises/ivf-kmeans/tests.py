"""Visible tests: the example round by round, an empty cell, searches near and far, exact with all cells."""

import numpy as np

VECTORS = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]], dtype=np.float32)


def column(*numbers):
    return np.array(numbers, dtype=np.float32)[:, None]


def learned(submission, vectors, centres, rounds, expected, cells, what):
    function = getattr(submission, "kmeans", None)
    assert function, "expected a function kmeans beside IVF, got none"
    got = function(vectors, centres, rounds)
    for name, value, right in zip(("centres", "cells"), got, (expected, np.array(cells)), strict=True):
        assert isinstance(value, np.ndarray), f"{what}, {name}: expected an array, got {type(value).__name__}"
        assert value.shape == right.shape, f"{what}, {name}: expected shape {right.shape}, got {value.shape}"
        assert np.allclose(value, right, rtol=1e-4, atol=1e-4), (
            f"{what}, {name}: expected {right.ravel().tolist()}, got {value.ravel().tolist()}"
        )


def test_worked_rounds(submission):
    start = column(0, 1)
    learned(submission, VECTORS, start, 0, start, [0, 1, 1, 1, 1, 1], "no round")
    learned(submission, VECTORS, start, 1, column(0, 7.2), [0, 0, 0, 1, 1, 1], "one round")
    learned(submission, VECTORS, start, 2, column(1, 11), [0, 0, 0, 1, 1, 1], "two rounds")
    learned(submission, VECTORS, start, 50, column(1, 11), [0, 0, 0, 1, 1, 1], "fifty rounds")


def test_worked_empty_cell(submission):
    start = column(0, 1, 100)
    learned(submission, VECTORS, start, 1, column(0, 7.2, 12), [0, 0, 0, 2, 2, 2], "an empty cell")


def check(got, expected, compared, what):
    ids, count = got
    assert list(ids) == expected, f"{what}: expected the ids {expected}, got {list(ids)}"
    assert count == compared, f"{what}: expected {compared} vectors compared, got {count}"


def test_worked_search(submission):
    index = submission.IVF(VECTORS, column(1, 11))
    check(index.search(column(3)[0], 2, 1), [2, 1], 5, "query 3, one probe")
    check(index.search(column(11.4)[0], 2, 1), [4, 5], 5, "query 11.4, one probe")
    check(index.search(column(3)[0], 2, 2), [2, 1], 8, "query 3, both cells")


def test_what_lies_behind_the_border_needs_a_second_probe(submission):
    """Cells of 0 and 5 on one side, of 7 on the other: 5 is nearer to the query 6, in the farther cell."""
    index = submission.IVF(column(0, 5, 7.5, 9), column(2.5, 8.2))
    check(index.search(column(6)[0], 1, 1), [2], 4, "query 6, one probe")
    check(index.search(column(6)[0], 1, 2), [1], 6, "query 6, two probes")


def test_fewer_than_k(submission):
    index = submission.IVF(VECTORS, column(1, 11))
    check(index.search(column(3)[0], 9, 1), [2, 1, 0], 5, "nine wanted of a cell of three")
    check(index.search(column(3)[0], 0, 1), [], 5, "none wanted")


def test_no_probe_is_refused(submission):
    index = submission.IVF(VECTORS, column(1, 11))
    for probes in (0, -1):
        try:
            got = index.search(column(3)[0], 2, probes)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{probes} probes: expected ValueError, got {type(error).__name__}"
            ) from error
        raise AssertionError(f"{probes} probes: expected ValueError, got {got}")
