"""Visible tests: the example, one document, equal sizes, nothing to do, what is refused."""

from handbook.practice.checks import equal, raises

SIZES = [300, 500, 200, 700, 400, 100]


def test_worked_example(submission):
    """The example of the statement."""
    for steps, expected in ((3, 900), (1, 2200), (9, 700)):
        equal(submission.smallest_capacity(SIZES, steps), expected, f"sizes {SIZES}, steps {steps}")


def test_order_stays(submission):
    """Large documents are not moved beside small ones."""
    equal(submission.smallest_capacity([1, 9, 9, 1], 2), 10, "sizes [1, 9, 9, 1], steps 2")
    equal(submission.smallest_capacity([9, 9, 1, 1], 2), 11, "sizes [9, 9, 1, 1], steps 2")


def test_one_document(submission):
    """One document takes one batch of its size."""
    equal(submission.smallest_capacity([512], 1), 512, "sizes [512], steps 1")
    equal(submission.smallest_capacity([512], 5), 512, "sizes [512], steps 5")


def test_no_documents(submission):
    """Nothing to do takes no capacity."""
    equal(submission.smallest_capacity([], 1), 0, "no sizes, steps 1")


def test_bad_numbers_are_refused(submission):
    """No steps, and sizes that are not positive, raise ValueError."""
    raises(ValueError, submission.smallest_capacity, SIZES, 0, what="steps 0")
    raises(ValueError, submission.smallest_capacity, [3, 0, 2], 2, what="a size of 0")
    raises(ValueError, submission.smallest_capacity, [3, -1], 2, what="a size of -1")
