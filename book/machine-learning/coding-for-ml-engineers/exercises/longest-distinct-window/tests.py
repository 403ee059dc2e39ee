"""Visible tests: the example, all different, all the same, an old repetition, nothing."""

from handbook.practice.checks import equal


def check(submission, tokens, expected):
    equal(submission.longest_distinct(tokens), expected, f"tokens {tokens}")


def test_worked_example(submission):
    """The example of the statement."""
    check(submission, [7, 3, 7, 5, 3, 3, 9], (1, 4))


def test_all_different(submission):
    """The whole list."""
    check(submission, [4, 3, 2, 1], (0, 4))


def test_all_the_same(submission):
    """One token, the first."""
    check(submission, [5, 5, 5], (0, 1))


def test_repetition_outside_of_the_window(submission):
    """A token that the window has left behind does not move its start back."""
    check(submission, [1, 2, 2, 1, 3], (2, 5))


def test_no_tokens(submission):
    """Nothing."""
    check(submission, [], (0, 0))
