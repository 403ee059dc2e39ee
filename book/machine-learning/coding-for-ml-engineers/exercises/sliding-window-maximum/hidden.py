"""Hidden tests: every window by brute force, equal values, infinities, wide windows, what is kept."""

import random

from handbook.practice.checks import equal, raises, unchanged


def growth_input(n):
    return list(range(n, 0, -1)), n // 2 or 1


def every_window(values, width):
    return [max(values[a : a + width]) for a in range(len(values) - width + 1)]


def test_equals_looking_at_every_window(submission):
    """Random values with many equal ones, every width."""
    for seed in range(80):
        chance = random.Random(seed)
        values = [chance.randint(-4, 4) for _ in range(chance.randint(1, 12))]
        for width in range(1, len(values) + 1):
            expected = every_window(values, width)
            equal(submission.window_maxima(values, width), expected, f"values {values}, width {width}")


def test_equal_values(submission):
    """The maximum stays while one of several equal ones is in the window."""
    values = [7, 7, 1, 7, 1, 1, 1]
    equal(submission.window_maxima(values, 3), [7, 7, 7, 7, 1], f"values {values}, width 3")


def test_infinities(submission):
    """A measurement that never came back is larger than all, and leaves like others."""
    inf = float("inf")
    values = [1.0, inf, 2.5, -inf, -inf, 3.0]
    equal(submission.window_maxima(values, 2), [inf, inf, 2.5, -inf, 3.0], f"values {values}, width 2")


def test_one_value(submission):
    """One value, one window."""
    equal(submission.window_maxima([0], 1), [0], "values [0], width 1")


def test_wide_windows_over_falling_values(submission):
    """30,000 falling values, a width of 15,000: nothing may be looked at again and again."""
    values = list(range(30_000, 0, -1))
    equal(submission.window_maxima(values, 15_000), values[:15_001], "30,000 falling values, width 15,000")


def test_wide_windows_over_a_saw(submission):
    """A long fall after each peak: the worst case for who searches anew when the maximum leaves."""
    values = [1_000 - i % 1_000 for i in range(30_000)]
    got = submission.window_maxima(values, 999)
    equal(got, every_window(values, 999), "30 teeth of 1,000 falling values, width 999")


def test_values_stay_as_they_were(submission):
    """The argument is not changed."""
    values = [3, 1, 2]
    submission.window_maxima(values, 2)
    unchanged(values, [3, 1, 2], "values")


def test_no_values_are_refused(submission):
    """There is no width that fits."""
    raises(ValueError, submission.window_maxima, [], 0, what="no values, width 0")
    raises(ValueError, submission.window_maxima, [], 1, what="no values, width 1")
