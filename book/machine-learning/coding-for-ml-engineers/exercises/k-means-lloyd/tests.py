"""Visible tests: the worked example, seeds, falling inertia, an empty cluster, bad arguments."""

from itertools import pairwise

import numpy as np

from handbook.practice.checks import close, equal, raises

LINE = np.array([[0.0], [1.0], [5.0], [6.0]])


def test_worked_example(submission):
    """The statement's example."""
    centres, labels, history = submission.kmeans(LINE, np.array([[0.0], [1.0]]), 10)
    close(history, [41.0, 6.0, 1.0], "history")
    close(centres, np.array([[0.5], [5.5]]), "centres", dtype=np.float64)
    equal(labels, np.array([0, 0, 1, 1]), "labels")


def test_seeds_are_different_points(submission):
    """Two tight groups far apart: the second centre is drawn from the group that has none."""
    rng = np.random.default_rng(1)
    points = np.concatenate((rng.normal(size=(20, 3)), 1000 + rng.normal(size=(20, 3))))
    for case in range(10):
        got = submission.seed(points, 2, np.random.default_rng(case))
        equal(got.shape, (2, 3), "shape of two seeds")
        inside = [bool((points == row).all(axis=1).any()) for row in got]
        equal(inside, [True, True], f"seeds are rows of points, case {case}")
        groups = sorted(float(row[0] > 500) for row in got)
        equal(groups, [0.0, 1.0], f"groups of the two seeds, case {case}")


def test_inertia_never_rises(submission):
    """Lloyd's steps only ever lower the inertia."""
    rng = np.random.default_rng(2)
    points = rng.normal(size=(300, 4))
    _, labels, history = submission.kmeans(points, points[:6], 50)
    assert all(b <= a + 1e-9 for a, b in pairwise(history)), (
        f"inertia: expected it never to rise, got {history}"
    )
    equal(len(np.unique(labels)), 6, "clusters that have points")


def test_empty_cluster_takes_the_farthest_point(submission):
    """A centre that nobody chose moves to the point that is worst off."""
    points = np.array([[0.0], [1.0], [2.0], [9.0]])
    centres, labels, history = submission.kmeans(points, np.array([[1.0], [500.0]]), 1)
    close(centres, np.array([[3.0], [9.0]]), "centres after one step with an empty cluster")
    equal(labels, np.array([0, 0, 0, 0]), "labels of that step")
    close(history, [66.0], "history")


def test_bad_arguments_are_refused(submission):
    """k of 0 or above N, no steps."""
    rng = np.random.default_rng(3)
    for k in (0, 5):
        raises(ValueError, submission.seed, LINE, k, rng, what=f"{k} seeds of 4 points")
        raises(ValueError, submission.kmeans, LINE, np.zeros((k, 1)), 5, what=f"{k} centres for 4 points")
    raises(ValueError, submission.kmeans, LINE, LINE[:2], 0, what="no steps")
