"""Visible tests: the worked example, shapes, groups by hand, no loops, arguments that do not fit."""

import numpy as np

from handbook.practice.checks import close, equal, inside, raises


def test_worked_example(submission):
    """The statement's image of 3 by 3, with and without stride and padding."""
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    w = np.array([[[[1.0, 0.0], [0.0, -1.0]]]])
    close(submission.conv2d(x, w), np.full((1, 1, 2, 2), -4.0), "stride 1, no padding")
    got = submission.conv2d(x, w, None, (2, 2), (1, 1))
    close(got, np.array([[[[-1.0, -3.0], [-7.0, -4.0]]]]), "stride 2, padding 1")


def test_shapes(submission):
    """The output's height and width are floored, rows before columns."""
    for stride, padding, expected in (
        ((1, 1), (0, 0), (5, 8)),
        ((2, 3), (0, 0), (3, 3)),
        ((2, 3), (1, 2), (4, 4)),
        ((4, 1), (0, 1), (2, 10)),
    ):
        got = submission.conv2d(np.ones((2, 3, 7, 9)), np.ones((4, 3, 3, 2)), None, stride, padding)
        equal(tuple(got.shape), (2, 4, *expected), f"shape with stride {stride} and padding {padding}")


def test_groups_and_bias(submission):
    """Two groups of two channels: the first kernel sees channels 0 and 1, the second 2 and 3."""
    x = np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 4, 1, 1)
    w = np.ones((2, 2, 1, 1))
    got = submission.conv2d(x, w, np.array([0.5, 0.25]), groups=2)
    close(got, np.array([11.5, 1100.25]).reshape(1, 2, 1, 1), "two groups")


def lines(submission, sizes):
    """How many lines of Python run in one call."""
    import sys

    import numpy as np

    B, C, H, W, K, k = sizes
    x, w, count = np.ones((B, C, H, W)), np.ones((K, C, k, k)), 0

    def seen(frame, event, argument):
        nonlocal count
        count += event == "line"
        return seen

    before = sys.gettrace()
    submission.conv2d(x[:1, :1, :1, :1], w[:1, :1, :1, :1])  # what is imported at the first call
    sys.settrace(seen)
    try:
        submission.conv2d(x, w)
    finally:
        sys.settrace(before)
    return count


def test_no_python_loops(submission):
    """As many lines of Python run for a batch of large images as for a small one."""
    small = inside(submission, lines, (2, 2, 4, 4, 2, 2))
    large = inside(submission, lines, (6, 5, 20, 21, 7, 4))
    assert large < small + 40, f"lines of Python for a larger input: expected about {small}, got {large}"


def test_arguments_that_do_not_fit_are_refused(submission):
    """Channels, groups, kernel size and stride are checked with ValueError."""
    x, call = np.ones((1, 4, 5, 5)), submission.conv2d
    raises(ValueError, call, x, np.ones((2, 3, 2, 2)), what="3 channels a kernel for 4")
    raises(
        ValueError, call, x, np.ones((2, 4, 2, 2)), None, (1, 1), (0, 0), 2, what="4 channels times 2 groups"
    )
    raises(ValueError, call, x, np.ones((3, 2, 2, 2)), None, (1, 1), (0, 0), 2, what="3 kernels in 2 groups")
    raises(ValueError, call, x, np.ones((2, 4, 6, 1)), what="a kernel of 6 rows over 5")
    raises(ValueError, call, x, np.ones((2, 4, 1, 8)), None, (1, 1), (1, 1), what="8 columns over 5 + 2")
    raises(ValueError, call, x, np.ones((2, 4, 2, 2)), None, (0, 1), what="a stride of 0")
