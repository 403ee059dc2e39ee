"""Visible tests: the example, one after the other, all at once, any order, what is refused."""

from handbook.practice.checks import equal, raises

JOBS = [(0, 6), (1, 3), (2, 4), (3, 8), (6, 7)]


def test_worked_example(submission):
    """The example of the statement."""
    equal(submission.assign_workers(JOBS), (3, [0, 1, 2, 1, 0]), f"jobs {JOBS}")


def test_one_after_the_other(submission):
    """A machine is free at the moment at which its job ends."""
    equal(submission.assign_workers([(0, 2), (2, 4), (4, 5)]), (1, [0, 0, 0]), "three jobs in a row")


def test_all_at_once(submission):
    """Equal starts take machines in the order of the list."""
    equal(submission.assign_workers([(0, 5), (0, 3), (0, 4)]), (3, [0, 1, 2]), "three jobs from 0 on")


def test_jobs_in_any_order(submission):
    """The answer is in the order of the list, whatever the order of the times."""
    jobs = [(5, 9), (0, 3), (2, 6)]
    equal(submission.assign_workers(jobs), (2, [0, 0, 1]), f"jobs {jobs}")


def test_no_jobs(submission):
    """Nothing to do, nobody needed."""
    equal(submission.assign_workers([]), (0, []), "no jobs")


def test_bad_jobs_are_refused(submission):
    """A job that takes no time, or ends before it starts, raises ValueError."""
    raises(ValueError, submission.assign_workers, [(0, 2), (3, 3)], what="a job (3, 3)")
    raises(ValueError, submission.assign_workers, [(5, 1)], what="a job (5, 1)")
