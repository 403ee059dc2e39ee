"""Visible tests: the example, no pairs, a chain, clusters that grow together, what is refused."""

from handbook.practice.checks import equal, raises


def test_worked_example(submission):
    """The example of the statement."""
    pairs = [(4, 1), (5, 2), (6, 4), (2, 5)]
    equal(submission.representatives(7, pairs), [0, 1, 2, 3, 1, 2, 1], f"7 documents, pairs {pairs}")


def test_no_pairs(submission):
    """Everybody represents themselves."""
    equal(submission.representatives(3, []), [0, 1, 2], "3 documents, no pairs")
    equal(submission.representatives(0, []), [], "no documents")


def test_chain(submission):
    """All of a chain belong together, in whatever order its pairs come."""
    pairs = [(3, 4), (0, 1), (2, 3), (1, 2)]
    equal(submission.representatives(5, pairs), [0] * 5, f"5 documents, pairs {pairs}")


def test_clusters_that_grow_together(submission):
    """A late pair joins two clusters, and all of their members."""
    pairs = [(1, 2), (3, 4), (4, 5), (5, 2)]
    equal(submission.representatives(6, pairs), [0, 1, 1, 1, 1, 1], f"6 documents, pairs {pairs}")


def test_documents_that_do_not_exist_are_refused(submission):
    """Numbers outside of 0 to count - 1 raise ValueError."""
    for pair in ((0, 3), (3, 0), (-1, 0), (0, -1)):
        raises(ValueError, submission.representatives, 3, [(0, 1), pair], what=f"3 documents, a pair {pair}")
    raises(ValueError, submission.representatives, -1, [], what="-1 documents")
