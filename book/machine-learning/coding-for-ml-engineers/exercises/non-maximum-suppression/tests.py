"""Visible tests: the worked example, chains, classes, ties, bad arguments."""

import numpy as np

from handbook.practice.checks import equal, raises

BOXES = np.array([[0.0, 0.0, 10.0, 10.0], [0.0, 2.0, 10.0, 12.0], [0.0, 6.0, 10.0, 16.0]])
SCORES = np.array([0.6, 0.9, 0.7])
ONE = np.zeros(3, dtype=np.int64)


def kept(*indices):
    return np.array(indices, dtype=np.int64)


def test_worked_example(submission):
    """The statement's example, with and without a limit."""
    equal(submission.nms(BOXES, SCORES, ONE, 0.5), kept(1, 2), "threshold 0.5")
    equal(submission.nms(BOXES, SCORES, ONE, 0.5, limit=1), kept(1), "threshold 0.5, limit 1")


def test_suppressed_box_suppresses_nobody(submission):
    """A covers B and B covers C: without B, C stays."""
    scores = np.array([0.9, 0.8, 0.7])
    boxes = np.array([[0.0, 0.0, 10.0, 10.0], [0.0, 3.0, 10.0, 13.0], [0.0, 6.0, 10.0, 16.0]])
    equal(submission.nms(boxes, scores, ONE, 0.5), kept(0, 2), "a chain of three")


def test_classes_do_not_suppress_each_other(submission):
    """The same box as a cat and as a dog stays twice, ordered by score over both."""
    boxes = np.repeat(BOXES[:1], 4, axis=0)
    got = submission.nms(boxes, np.array([0.1, 0.4, 0.3, 0.2]), np.array([7, 3, 7, 3]), 0.5)
    equal(got, kept(1, 2), "four times the same box in two classes")


def test_equal_scores_go_by_index(submission):
    """Of equal boxes with equal scores the first stays; apart, they come in order."""
    boxes = np.array([[50.0, 0.0, 60.0, 10.0], [0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0]])
    equal(submission.nms(boxes, np.full(3, 0.5), ONE, 0.5), kept(0, 1), "three equal scores")


def test_bad_arguments_are_refused(submission):
    """Thresholds outside of 0 to 1, negative limits, lengths that differ."""
    for bad in (-0.1, 1.1, float("nan")):
        raises(ValueError, submission.nms, BOXES, SCORES, ONE, bad, what=f"threshold {bad}")
    raises(ValueError, submission.nms, BOXES, SCORES, ONE, 0.5, -1, what="limit -1")
    raises(ValueError, submission.nms, BOXES, SCORES[:2], ONE, 0.5, what="3 boxes, 2 scores")
    raises(ValueError, submission.nms, BOXES, SCORES, ONE[:2], 0.5, what="3 boxes, 2 labels")
    raises(ValueError, submission.nms, BOXES[:2], SCORES, ONE, 0.5, what="2 boxes, 3 scores")
