"""Visible tests: the worked example, the better feature, ties, nothing to split, bad arguments."""

import numpy as np

from handbook.practice.checks import close, raises

X = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 1.0], [4.0, 5.0]])
Y = np.array([0, 0, 1, 1])


def test_worked_example(submission):
    """The statement's example."""
    close(submission.fit_stump(X, Y), (0, 2.5, 0.0, 0, 1), "without weights")
    close(submission.fit_stump(X, Y, np.array([1, 0, 3, 0])), (0, 1.5, 0.0, 0, 1), "with weights")


def test_better_feature_wins(submission):
    """The second feature separates three of four; the first separates nothing."""
    x = np.array([[1.0, 0.0], [2.0, 1.0], [1.0, 2.0], [2.0, 3.0]])
    close(submission.fit_stump(x, np.array([0, 0, 0, 1])), (1, 2.5, 0.0, 0, 1), "second feature")
    got = submission.fit_stump(x, np.array([1, 0, 0, 1]))
    close(got, (1, 0.5, 1 / 3, 1, 0), "labels 1, 0, 0, 1")


def test_ties(submission):
    """Equal features: the first. Equal thresholds: the smallest. Equal classes: the smaller."""
    x = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    close(submission.fit_stump(x, np.array([0, 1, 0])), (0, 0.5, 1 / 3, 0, 0), "labels 0, 1, 0")
    got = submission.fit_stump(np.array([[0.0], [1.0], [1.0]]), np.array([2, 1, 0]))
    close(got, (0, 0.5, 1 / 3, 2, 0), "labels 2 on the left, 1 and 0 on the right")


def test_nothing_to_split(submission):
    """One value in every feature: the impurity and the heaviest class of all rows."""
    got = submission.fit_stump(np.full((4, 2), 3.0), np.array([2, 0, 2, 1]))
    close(got, (-1, float("nan"), 1 - 0.25 - 1 / 16 - 1 / 16, 2, 2), "constant features")
    got = submission.fit_stump(np.array([[3.0, 1.0], [3.0, 2.0]]), np.array([1, 0]))
    close(got, (1, 1.5, 0.0, 1, 0), "a constant feature before one that separates")


def test_bad_arguments_are_refused(submission):
    """Weights below 0, no weight, a negative class, lengths that differ."""
    for bad in (np.array([1.0, -1.0, 1.0, 1.0]), np.zeros(4), np.ones(3), np.ones(1)):
        raises(ValueError, submission.fit_stump, X, Y, bad, what=f"weights {bad.tolist()}")
    raises(ValueError, submission.fit_stump, X, np.array([0, 1, -1, 0]), what="class -1")
    raises(ValueError, submission.fit_stump, X, Y[:3], what="4 rows, 3 classes")
    raises(ValueError, submission.fit_stump, X[:3], Y, what="3 rows, 4 classes")
