"""Visible tests: the example, the smaller of two sums, equal scores, two scores, too few."""

from handbook.practice.checks import equal, raises

SCORES = [-4, 1, 3, 3, 9]


def test_worked_example(submission):
    """The example of the statement."""
    for target, expected in ((6, (2, 3)), (11, (1, 4)), (4, (1, 3))):
        equal(submission.nearest_pair(SCORES, target), expected, f"scores {SCORES}, target {target}")


def test_smaller_sum_wins(submission):
    """Two sums are equally near: the smaller one is taken."""
    equal(
        submission.nearest_pair([0, 2, 6], 4), (0, 1), "scores [0, 2, 6], target 4: the sums are 2, 6 and 8"
    )


def test_equal_scores(submission):
    """Among equal sums: the smallest i, then the largest j."""
    equal(submission.nearest_pair([2, 2, 2, 2], 4), (0, 3), "scores [2, 2, 2, 2], target 4")
    equal(submission.nearest_pair([1, 1, 5, 5], 6), (0, 3), "scores [1, 1, 5, 5], target 6")


def test_two_scores(submission):
    """Two scores make one pair, however far off."""
    equal(submission.nearest_pair([1, 2], 1000), (0, 1), "scores [1, 2], target 1000")


def test_too_few_scores_are_refused(submission):
    """One score makes no pair."""
    raises(ValueError, submission.nearest_pair, [7], 7, what="one score")
    raises(ValueError, submission.nearest_pair, [], 7, what="no scores")
