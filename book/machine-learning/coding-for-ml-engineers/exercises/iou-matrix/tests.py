"""Visible tests: the worked example, identity, apart and touching, shapes, bad boxes."""

import numpy as np

from handbook.practice.checks import close, raises


def test_worked_example(submission):
    """The statement's example."""
    a = np.array([[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]])
    b = np.array([[1.0, 0.0, 3.0, 2.0], [4.0, 4.0, 5.0, 5.0]])
    close(submission.iou_matrix(a, b), np.array([[1 / 3, 0.0], [1 / 3, 0.0]]), "example", dtype=np.float64)


def test_box_with_itself_is_one(submission):
    """A box and itself overlap wholly, wherever it lies."""
    boxes = np.array([[-3.0, -2.0, 5.0, 7.0], [10.5, 0.0, 11.0, 0.25]])
    got = submission.iou_matrix(boxes, boxes)
    close(got, np.eye(2), "two boxes that are apart, each with both")


def test_apart_and_touching_are_zero(submission):
    """Apart in one axis, in both, or sharing an edge: 0. Two negative sides do not make an area."""
    box = np.array([[0.0, 0.0, 2.0, 2.0]])
    others = np.array(
        [[3.0, 3.0, 9.0, 9.0], [0.0, 3.0, 2.0, 4.0], [2.0, 0.0, 4.0, 2.0], [2.0, 2.0, 3.0, 3.0]]
    )
    close(submission.iou_matrix(box, others), np.zeros((1, 4)), "apart, above, sharing an edge, a corner")


def test_rows_are_the_first_argument(submission):
    """Three boxes against two give three rows."""
    a = np.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 2.0, 4.0], [0.0, 0.0, 1.0, 1.0]])
    b = np.array([[0.0, 0.0, 4.0, 4.0], [2.0, 0.0, 4.0, 4.0]])
    expected = np.array([[1.0, 0.5], [0.5, 0.0], [1 / 16, 0.0]])
    close(submission.iou_matrix(a, b), expected, "three boxes against two")


def test_bad_boxes_are_refused(submission):
    """A low corner above the high one is a mistake upstream, not an empty box."""
    good = np.array([[0.0, 0.0, 1.0, 1.0]])
    for bad in ([[2.0, 0.0, 1.0, 1.0]], [[0.0, 2.0, 1.0, 1.0]]):
        raises(ValueError, submission.iou_matrix, np.array(bad), good, what=f"a = {bad}")
        raises(ValueError, submission.iou_matrix, good, np.array(bad), what=f"b = {bad}")
