"""Visible tests: the worked example, repeated tokens, shapes of ids, padding, ids out of range."""

import numpy as np

from handbook.practice.checks import close, equal, raises


def test_worked_example(submission):
    """The statement's four tokens, compact and dense."""
    ids, dy = np.array([3, 1, 3, 0]), np.array([[1.0], [2.0], [10.0], [100.0]])
    rows, sums = submission.touched(ids, dy, 0)
    equal(rows.tolist(), [1, 3], "rows")
    close(sums, np.array([[2.0], [11.0]]), "sums")
    got = submission.embedding_gradient(ids, dy, 5, 0)
    close(got, np.array([[0.0], [2.0], [0.0], [11.0], [0.0]]), "dense gradient")


def test_repeated_tokens_add_up(submission):
    """One token six times collects six rows."""
    got = submission.embedding_gradient(np.full(6, 2), np.arange(12.0).reshape(6, 2), 3)
    close(got, np.array([[0.0, 0.0], [0.0, 0.0], [30.0, 36.0]]), "six times token 2")


def test_ids_of_any_shape(submission):
    """A batch [2, 3] gives what its six tokens in a row give."""
    rng = np.random.default_rng(0)
    ids, dy = rng.integers(4, size=(2, 3)), rng.normal(size=(2, 3, 5))
    got = submission.embedding_gradient(ids, dy, 4)
    close(got, submission.embedding_gradient(ids.reshape(6), dy.reshape(6, 5), 4), "ids of [2, 3]")
    one = submission.embedding_gradient(np.array(1), np.array([2.0, 3.0]), 2)
    close(one, np.array([[0.0, 0.0], [2.0, 3.0]]), "a single id without an axis")


def test_padding_gets_nothing(submission):
    """The padded tokens' rows of dy go nowhere, wherever they stand."""
    ids, dy = np.array([7, 2, 7, 2, 5]), np.array([[9.0], [1.0], [9.0], [2.0], [4.0]])
    rows, sums = submission.touched(ids, dy, 7)
    equal(rows.tolist(), [2, 5], "rows without padding 7")
    close(sums, np.array([[3.0], [4.0]]), "sums without padding 7")
    close(submission.touched(ids, dy)[1], np.array([[3.0], [4.0], [18.0]]), "sums without a padding id")


def test_ids_out_of_range_are_refused(submission):
    """An id of -1 and one of V raise ValueError; V - 1 does not."""
    call, dy = submission.embedding_gradient, np.ones((2, 1))
    raises(ValueError, call, np.array([0, -1]), dy, 3, what="id -1")
    raises(ValueError, call, np.array([0, 3]), dy, 3, what="id 3 of 3 rows")
    close(call(np.array([0, 2]), dy, 3), np.array([[1.0], [0.0], [1.0]]), "ids 0 and 2 of 3 rows")
