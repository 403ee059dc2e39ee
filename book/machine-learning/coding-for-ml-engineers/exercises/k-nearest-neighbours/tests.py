"""Visible tests: the worked example, one neighbour, both kinds of tie, bad arguments."""

import numpy as np

from handbook.practice.checks import equal, raises

TRAIN = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]])
LABELS = np.array([7, 7, 3, 3, 3])


def test_worked_example(submission):
    """The statement's example."""
    equal(submission.knn_predict(TRAIN, LABELS, np.array([[0.4]]), 1), np.array([7]), "0.4 with k = 1")
    equal(submission.knn_predict(TRAIN, LABELS, np.array([[1.9]]), 3), np.array([7]), "1.9 with k = 3")
    equal(submission.knn_predict(TRAIN, LABELS, np.array([[1.9]]), 4), np.array([3]), "1.9 with k = 4")


def test_one_neighbour_of_the_training_rows(submission):
    """With k = 1 each training row predicts its own label."""
    rng = np.random.default_rng(1)
    train, labels = rng.normal(size=(50, 6)), rng.integers(0, 4, 50)
    equal(submission.knn_predict(train, labels, train, 1), labels, "training rows as queries")


def test_equal_distances_go_by_index(submission):
    """A query in the middle of two rows takes the first of them."""
    train = np.array([[4.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    got = submission.knn_predict(train, np.array([5, 9, 2]), np.array([[2.0, 0.0], [0.0, 0.0]]), 1)
    equal(got, np.array([5, 9]), "between two rows, and on two equal rows")


def test_equal_votes_go_to_the_nearest(submission):
    """Two votes each: the class of the nearest neighbour wins, not the smaller label."""
    train = np.array([[1.0], [2.0], [3.0], [4.0]])
    got = submission.knn_predict(train, np.array([8, 1, 1, 8]), np.array([[0.0], [5.0], [2.2]]), 4)
    equal(got, np.array([8, 8, 1]), "labels 8, 1, 1, 8 from the left, the right and within")


def test_bad_arguments_are_refused(submission):
    """k of 0, below, above N; lengths that differ."""
    query = np.array([[0.0]])
    for k in (0, -1, 6):
        raises(ValueError, submission.knn_predict, TRAIN, LABELS, query, k, what=f"k = {k} of 5 rows")
    raises(ValueError, submission.knn_predict, TRAIN, LABELS[:4], query, 1, what="5 rows, 4 labels")
    raises(ValueError, submission.knn_predict, TRAIN[:4], LABELS, query, 1, what="4 rows, 5 labels")
