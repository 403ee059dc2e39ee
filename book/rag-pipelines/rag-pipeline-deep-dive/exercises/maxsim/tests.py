"""Visible tests: the example, one passage, order within a passage, lengths that differ, nothing."""

import numpy as np

QUESTION = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
TOKENS = np.array([[1.0, 0.0], [0.0, -1.0], [0.6, 0.8]], dtype=np.float32)


def check(got, expected, what):
    expected = np.asarray(expected, dtype=np.float32)
    assert isinstance(got, np.ndarray), f"{what}: expected an array, got {type(got).__name__}"
    assert got.dtype == np.float32, f"{what}: expected float32, got {got.dtype}"
    assert got.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {got.shape}"
    assert np.allclose(got, expected, atol=1e-4), f"{what}: expected {expected.tolist()}, got {got.tolist()}"


def test_worked_example(submission):
    check(submission.max_sims(QUESTION, TOKENS, np.array([2, 1, 0])), [1.0, 1.4, 0.0], "the example")


def test_one_passage(submission):
    check(submission.max_sims(QUESTION, TOKENS, np.array([3])), [1.8], "all three tokens in one passage")


def test_order_within_a_passage_does_not_count(submission):
    got = submission.max_sims(QUESTION, TOKENS[[1, 0, 2]], np.array([2, 1]))
    check(got, [1.0, 1.4], "the tokens of passage 0 the other way round")


def test_many_tokens_do_not_add_up(submission):
    """A passage that says one thing ten times is not better for it."""
    tokens = np.concatenate([np.tile(TOKENS[:1], (10, 1)), TOKENS[:1]])
    check(submission.max_sims(QUESTION[:1], tokens, np.array([10, 1])), [1.0, 1.0], "ten times, and once")


def test_each_token_of_the_question_counts(submission):
    question = np.concatenate([QUESTION, QUESTION[:1]])
    check(submission.max_sims(question, TOKENS, np.array([2, 1])), [2.0, 2.0], "a twice in the question")


def test_no_passages(submission):
    got = submission.max_sims(QUESTION, TOKENS[:0], np.zeros(0, dtype=np.int64))
    check(got, [], "no passages")
