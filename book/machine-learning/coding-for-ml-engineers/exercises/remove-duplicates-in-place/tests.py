"""Visible tests: the example, nothing to remove, one id only, an empty list, a bad number."""

from handbook.practice.checks import equal, raises


def check(submission, ids, most, expected):
    changed = list(ids)
    got = submission.compact(changed, most)
    equal(got, len(expected), f"ids kept of {ids}, most {most}")
    equal(changed[:got], expected, f"the front of the list, {ids}, most {most}")
    equal(len(changed), len(ids), f"length of the list {ids}, most {most}")


def test_worked_example(submission):
    """The example of the statement."""
    check(submission, [3, 3, 3, 5, 8, 8, 8, 8], 1, [3, 5, 8])
    check(submission, [3, 3, 3, 5, 8, 8, 8, 8], 2, [3, 3, 5, 8, 8])


def test_one_copy_is_the_default(submission):
    """Without a number, one copy of each id stays."""
    ids = [1, 1, 2]
    equal(submission.compact(ids), 2, "ids kept of [1, 1, 2]")
    equal(ids[:2], [1, 2], "the front of [1, 1, 2]")


def test_nothing_to_remove(submission):
    """All ids differ, or there are few of each."""
    check(submission, [1, 2, 4], 1, [1, 2, 4])
    check(submission, [1, 1, 4, 4], 2, [1, 1, 4, 4])


def test_short_lists(submission):
    """Nothing, one id, and fewer ids than may stay."""
    check(submission, [], 1, [])
    check(submission, [7], 3, [7])
    check(submission, [7, 7], 3, [7, 7])


def test_bad_number_is_refused(submission):
    """Less than one copy raises ValueError and changes nothing."""
    ids = [1, 1]
    raises(ValueError, submission.compact, ids, 0, what="most = 0")
    equal(ids, [1, 1], "ids after most = 0 was refused")
