"""Visible tests: the example, lambda of 0 and 1, rows of different lengths, an empty row."""

import numpy as np


def check(got, expected, what, tolerance=1e-5):
    expected = np.asarray(expected, dtype=np.float64)
    assert isinstance(got, np.ndarray), f"{what}: expected a NumPy array, got {type(got).__name__}"
    assert got.dtype == np.float32, f"{what}: expected float32, got {got.dtype}"
    assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
    off = np.abs(got - expected).max(initial=0.0)
    assert off <= tolerance * max(1.0, np.abs(expected).max(initial=0.0)), (
        f"{what}: expected {np.round(expected, 4).tolist()}, got {np.round(got, 4).tolist()}"
    )


def both(submission, rewards, values, mask, gamma, lam):
    return submission.gae(
        np.array(rewards, dtype=np.float32), np.array(values, dtype=np.float32), np.array(mask), gamma, lam
    )


def test_worked_example(submission):
    advantages, returns = both(
        submission, [[0.0, 0.0, 1.0, 9.0]], [[0.5, 0.6, 0.8, 9.0]], [[True] * 3 + [False]], 1.0, 0.5
    )
    check(advantages, [[0.25, 0.3, 0.2, 0.0]], "advantages of the example")
    check(returns, [[0.75, 0.9, 1.0, 0.0]], "returns of the example")


def test_lambda_zero_looks_one_step_ahead(submission):
    advantages, returns = both(submission, [[1.0, 2.0, 3.0]], [[4.0, 6.0, 8.0]], [[True] * 3], 0.5, 0.0)
    check(advantages, [[0.0, 0.0, -5.0]], "lam = 0, gamma = 0.5: r + gamma V' - V")
    check(returns, [[4.0, 6.0, 3.0]], "returns, lam = 0")


def test_lambda_one_is_what_was_earned_less_what_was_expected(submission):
    advantages, returns = both(submission, [[1.0, 2.0, 4.0]], [[3.0, 5.0, 7.0]], [[True] * 3], 0.5, 1.0)
    check(returns, [[3.0, 4.0, 4.0]], "lam = 1, gamma = 0.5: discounted sums of 1, 2, 4")
    check(advantages, [[0.0, -1.0, -3.0]], "advantages, lam = 1")


def test_rows_of_different_lengths(submission):
    rewards, values = [[1.0, 5.0, 5.0], [0.0, 1.0, 5.0]], [[0.5, 7.0, 7.0], [0.25, 0.5, 7.0]]
    mask = [[True, False, False], [True, True, False]]
    advantages, returns = both(submission, rewards, values, mask, 1.0, 1.0)
    check(advantages, [[0.5, 0.0, 0.0], [0.75, 0.5, 0.0]], "answers of 1 and 2 tokens in rows of 3")
    check(returns, [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]], "their returns")


def test_row_without_tokens(submission):
    mask = [[False, False], [True, True]]
    advantages, returns = both(submission, [[1.0, 1.0]] * 2, [[2.0, 3.0]] * 2, mask, 1.0, 1.0)
    check(advantages, [[0.0, 0.0], [0.0, -2.0]], "the first of two rows has no tokens")
    check(returns, [[0.0, 0.0], [2.0, 1.0]], "their returns")
