"""Visible tests: the example, each passage once, nothing fits, everything fits, what is refused."""

from handbook.practice.checks import equal, raises

TOKENS, VALUES = [60, 50, 50, 30], [70, 50, 50, 10]


def check(got, tokens, values, budget, expected):
    """The value, and a choice that fits and reaches it."""
    what = f"tokens {tokens[:12]}, values {values[:12]}, budget {budget}"
    assert isinstance(got, tuple), f"{what}: expected a tuple (value, chosen), got {got!r}"
    value, chosen = got
    equal(value, expected, f"value, {what}")
    equal(chosen, sorted(set(chosen)), f"different indices in ascending order, {what}")
    used = sum(tokens[i] for i in chosen)
    assert used <= budget, f"{what}: expected a choice within the budget, got {chosen[:12]} of {used} tokens"
    equal(sum(values[i] for i in chosen), expected, f"value of the chosen {chosen[:12]}, {what}")


def test_worked_example(submission):
    """The example of the statement."""
    for budget, expected in ((100, 100), (90, 80), (20, 0)):
        check(submission.choose_passages(TOKENS, VALUES, budget), TOKENS, VALUES, budget, expected)


def test_each_passage_once(submission):
    """A short, valuable passage is not repeated to fill the budget."""
    equal(submission.choose_passages([2], [5], 10), (5, [0]), "one passage of 2 tokens, budget 10")


def test_everything_fits(submission):
    """A budget of all tokens, exactly and with room to spare."""
    equal(submission.choose_passages([3, 4], [1, 2], 7), (3, [0, 1]), "tokens 3 and 4, budget 7")
    equal(submission.choose_passages([3, 4], [1, 2], 50), (3, [0, 1]), "tokens 3 and 4, budget 50")


def test_nothing_to_choose(submission):
    """No passages, no budget, and passages that are all too long."""
    equal(submission.choose_passages([], [], 10), (0, []), "no passages")
    equal(submission.choose_passages([4], [9], 0), (0, []), "budget 0")
    equal(submission.choose_passages([11, 12], [9, 9], 10), (0, []), "tokens 11 and 12, budget 10")


def test_bad_numbers_are_refused(submission):
    """Lists of different lengths and negative numbers raise ValueError."""
    raises(ValueError, submission.choose_passages, [1, 2], [3], 5, what="two lengths, one value")
    raises(ValueError, submission.choose_passages, [1], [3, 4], 5, what="one length, two values")
    raises(ValueError, submission.choose_passages, [1, -2], [3, 3], 5, what="a length of -2")
    raises(ValueError, submission.choose_passages, [1, 2], [3, -3], 5, what="a value of -3")
    raises(ValueError, submission.choose_passages, [1], [3], -1, what="a budget of -1")
