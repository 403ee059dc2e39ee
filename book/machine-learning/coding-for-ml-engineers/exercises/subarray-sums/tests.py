"""Visible tests: the example, windows from the start, no empty windows, equal values, nothing."""

from handbook.practice.checks import equal

CHANGES = [2, -2, 3, 0, -1]


def test_worked_example(submission):
    """The example of the statement."""
    for total, expected in ((2, 3), (0, 3), (9, 0)):
        equal(submission.count_windows(CHANGES, total), expected, f"changes {CHANGES}, total {total}")


def test_window_from_the_first_value(submission):
    """A window may begin with the first value and hold all of them."""
    equal(submission.count_windows([4], 4), 1, "changes [4], total 4")
    equal(submission.count_windows([1, 2, 3], 6), 1, "changes [1, 2, 3], total 6")


def test_empty_windows_do_not_count(submission):
    """With a total of 0, a window of no values is no window."""
    equal(submission.count_windows([1, 2], 0), 0, "changes [1, 2], total 0")


def test_negative_values(submission):
    """Sums go down as well as up."""
    equal(submission.count_windows([3, -1, -2, 5], 0), 1, "changes [3, -1, -2, 5], total 0")
    equal(submission.count_windows([-1, -1, 1], -1), 3, "changes [-1, -1, 1], total -1")


def test_no_values(submission):
    """Nothing to add up."""
    equal(submission.count_windows([], 0), 0, "no changes, total 0")
