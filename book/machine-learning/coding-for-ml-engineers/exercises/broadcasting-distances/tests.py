"""Visible tests: the worked example, shapes, equal vectors, far from the origin, bad shapes."""

import numpy as np

from handbook.practice.checks import close, equal, raises


def test_worked_example(submission):
    """The statement's example."""
    x, y = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [0.0, 4.0], [6.0, 8.0]])
    expected = np.array([[0.0, 4.0, 10.0], [5.0, 3.0, 5.0]])
    close(submission.distances(x, y), expected, "example", dtype=np.float64)


def test_against_differences(submission):
    """Small enough to hold all differences at once."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 7)), rng.normal(size=(20, 7))
    close(submission.distances(x, y), np.linalg.norm(x[:, None] - y, axis=-1), "30 by 20 vectors of 7")


def test_equal_vectors_are_at_zero(submission):
    """Exactly 0 on the diagonal, not 1e-8 and not NaN, and above 0 beside it."""
    x = np.random.default_rng(2).normal(size=(200, 33))
    got = submission.distances(x, x.copy())
    equal(np.diagonal(got), np.zeros(200), "distances of vectors to themselves")
    assert (got + np.eye(200) > 0).all(), "different vectors: expected distances above 0, got 0"


def test_far_from_the_origin(submission):
    """Vectors near 10,000 that lie a thousandth apart."""
    rng = np.random.default_rng(3)
    x = 10_000 + rng.normal(size=(20, 16))
    y = x + 0.001 * rng.normal(size=(20, 16))
    got = np.diagonal(submission.distances(x, y))
    close(got, np.linalg.norm(x - y, axis=1), "distances of about 0.004 at norms of 40,000")


def test_bad_shapes_are_refused(submission):
    """Widths that differ, and vectors where matrices are wanted."""
    x = np.zeros((3, 4))
    for bad in (np.zeros((3, 5)), np.zeros(4), np.zeros((1, 3, 4))):
        raises(ValueError, submission.distances, x, bad, what=f"y of shape {bad.shape}")
        raises(ValueError, submission.distances, bad, x, what=f"x of shape {bad.shape}")
