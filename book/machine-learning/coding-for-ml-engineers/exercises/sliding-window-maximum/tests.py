"""Visible tests: the example, rising and falling values, equal values, negative ones, bad widths."""

from handbook.practice.checks import equal, raises

VALUES = [12, 40, 31, 31, 8, 25, 60]


def test_worked_example(submission):
    """The example of the statement."""
    for width, expected in ((3, [40, 40, 31, 31, 60]), (1, VALUES), (7, [60])):
        equal(submission.window_maxima(VALUES, width), expected, f"values {VALUES}, width {width}")


def test_falling_values(submission):
    """The maximum leaves the window at every step."""
    equal(submission.window_maxima([5, 4, 3, 2, 1], 2), [5, 4, 3, 2], "values 5 to 1, width 2")


def test_rising_values(submission):
    """The newest value is always the maximum."""
    equal(submission.window_maxima([1, 2, 3, 4], 3), [3, 4], "values 1 to 4, width 3")


def test_negative_values(submission):
    """Zero is not a lower bound."""
    equal(submission.window_maxima([-5, -2, -9, -7], 2), [-2, -2, -7], "values [-5, -2, -9, -7], width 2")


def test_bad_width_is_refused(submission):
    """A width of nothing, or beyond the values, raises ValueError."""
    for width in (0, -1, 8):
        raises(ValueError, submission.window_maxima, VALUES, width, what=f"7 values, width {width}")
