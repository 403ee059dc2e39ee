"""Visible tests: the example, ties at the cut, few tokens, k of nothing, a negative k."""

from handbook.practice.checks import equal, raises

TOKENS = ["the", "cat", "the", "mat", "a", "mat", "the", "a"]


def test_worked_example(submission):
    """The example of the statement."""
    equal(submission.top_k(TOKENS, 2), [("the", 3), ("a", 2)], "the example, k = 2")
    equal(submission.top_k(TOKENS, 9), [("the", 3), ("a", 2), ("mat", 2), ("cat", 1)], "the example, k = 9")


def test_ties_are_alphabetical(submission):
    """Equally frequent tokens stand in alphabetical order, and the cut respects it."""
    equal(
        submission.top_k(["c", "b", "a", "d"], 3),
        [("a", 1), ("b", 1), ("c", 1)],
        "four tokens once each, k = 3",
    )


def test_one_token(submission):
    """One token, however often."""
    equal(submission.top_k(["x"] * 5, 3), [("x", 5)], "five times the same token")


def test_nothing_to_return(submission):
    """No tokens, or k = 0."""
    equal(submission.top_k([], 3), [], "no tokens")
    equal(submission.top_k(TOKENS, 0), [], "k = 0")


def test_negative_k_is_refused(submission):
    """A negative k raises ValueError."""
    raises(ValueError, submission.top_k, TOKENS, -1, what="k = -1")
