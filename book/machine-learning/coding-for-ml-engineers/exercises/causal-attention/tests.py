"""Visible tests: the worked example, causality, padding on the left, large scores, bad shapes."""

import numpy as np

from handbook.practice.checks import close, equal, raises


def made(B, H, T, D, E, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(B, H, T, width)).astype(dtype) for width in (D, D, E)]


def test_worked_example(submission):
    """The statement's example: three positions, the middle one padded and full of NaN."""
    q = np.array([1.0, 7.0, 2.0]).reshape(1, 1, 3, 1)
    k = np.array([0.0, 9.0, np.log(3.0)]).reshape(1, 1, 3, 1)
    v = np.array([4.0, np.nan, 8.0]).reshape(1, 1, 3, 1)
    got = submission.causal_attention(q, k, v, np.array([[True, False, True]]))
    close(got, np.array([4.0, 0.0, 7.6]).reshape(1, 1, 3, 1), "the worked example")


def test_later_positions_change_nothing(submission):
    """Whatever stands behind a position leaves its row as it was."""
    q, k, v = made(2, 3, 6, 4, 4, 0)
    real = np.ones((2, 6), dtype=bool)
    before = submission.causal_attention(q, k, v, real)
    k[:, :, 4:], v[:, :, 4:] = 50.0, -50.0
    after = submission.causal_attention(q, k, v, real)
    close(after[:, :, :4], before[:, :, :4], "rows 0 to 3 after k and v of rows 4 and 5 changed")


def test_padding_on_the_left_is_cut_off(submission):
    """A sequence with two padded positions in front equals the sequence without them."""
    q, k, v = made(1, 2, 5, 4, 3, 1)
    real = np.array([[False, False, True, True, True]])
    got = submission.causal_attention(q, k, v, real)
    alone = submission.causal_attention(q[:, :, 2:], k[:, :, 2:], v[:, :, 2:], real[:, 2:])
    close(got[:, :, 2:], alone, "real rows of a sequence with padding on the left")
    close(got[:, :, :2], np.zeros((1, 2, 2, 3)), "rows of padding")


def test_large_scores_stay_finite(submission):
    """Scores of 10,000 and of -10,000 overflow nothing."""
    q = np.array([[[[100.0], [100.0]]]])
    k = np.array([[[[100.0], [99.0]]]])
    v = np.array([[[[1.0], [2.0]]]])
    real = np.ones((1, 2), dtype=bool)
    close(submission.causal_attention(q, k, v, real), np.ones((1, 1, 2, 1)), "scores of 10,000 and 9,900")
    q = -q
    got = submission.causal_attention(q, k, v, real)
    close(got, np.array([1.0, 2.0]).reshape(1, 1, 2, 1), "scores of -10,000 and -9,900")
    q[0, 0, 0] = 100
    got = submission.causal_attention(q, k, v, real)
    close(got, np.array([1.0, 2.0]).reshape(1, 1, 2, 1), "a row of 10,000 above one of -10,000")


def test_shapes_that_do_not_fit_are_refused(submission):
    """q and k of different shapes, v of another length, and a mask of another batch raise ValueError."""
    q, k, v = made(2, 2, 4, 3, 5, 2)
    real = np.ones((2, 4), dtype=bool)
    call = submission.causal_attention
    raises(ValueError, call, q, k[:, :1], v, real, what="k with one head of q's two")
    raises(ValueError, call, q, k, v[:, :, :1], real, what="v with one position of q's four")
    raises(ValueError, call, q, k, v, real[:1], what="a mask for one sequence of two")
    equal(call(q, k, v, real).shape, (2, 2, 4, 5), "shape with values of width 5")
