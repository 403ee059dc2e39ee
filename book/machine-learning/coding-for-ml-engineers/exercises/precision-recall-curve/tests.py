"""Visible tests: the worked example, perfect scores, all scores equal, weights, bad arguments."""

import numpy as np

from handbook.practice.checks import close, raises

LABELS, SCORES = np.array([1, 0, 1, 0]), np.array([0.9, 0.7, 0.7, 0.2])


def test_worked_example(submission):
    """The statement's example."""
    precision, recall, thresholds = submission.precision_recall(LABELS, SCORES)
    close(thresholds, np.array([0.9, 0.7, 0.2]), "thresholds", dtype=np.float64)
    close(precision, np.array([1.0, 2 / 3, 0.5]), "precision", dtype=np.float64)
    close(recall, np.array([0.5, 1.0, 1.0]), "recall", dtype=np.float64)
    close(submission.average_precision(LABELS, SCORES), 5 / 6, "average precision")
    close(submission.best_threshold(LABELS, SCORES), (0.7, 0.8), "best threshold")
    close(submission.best_threshold(LABELS, SCORES, 0.5), (0.9, 5 / 6), "best threshold for beta = 0.5")


def test_perfect_scores(submission):
    """All positives first: 1. One positive in four, last: 1/4."""
    labels = np.array([0, 1, 0, 1, 1])
    close(submission.average_precision(labels, labels * 1.0 + [0, 1, 2, 3, 4]), 11 / 12, "nearly perfect")
    close(submission.average_precision(labels, 10.0 * labels), 1.0, "perfect scores")
    close(submission.average_precision(np.array([0, 0, 0, 1]), np.array([4, 3, 2, 1])), 0.25, "positive last")


def test_equal_scores_are_called_together(submission):
    """A constant score has one point, and the share of positives as its precision, whatever the order."""
    for labels in ([1, 1, 0, 0, 0], [0, 0, 0, 1, 1]):
        precision, recall, thresholds = submission.precision_recall(np.array(labels), np.full(5, 0.5))
        got = (precision, recall, thresholds)
        close(got, (np.array([0.4]), np.array([1.0]), np.array([0.5])), f"curve for labels {labels}")
        close(submission.average_precision(np.array(labels), np.full(5, 0.5)), 0.4, f"AP for labels {labels}")


def test_weights(submission):
    """A false alarm that weighs four times as much, as after sampling negatives down."""
    weights = np.array([1, 4, 1, 4])
    precision, recall, _ = submission.precision_recall(LABELS, SCORES, weights)
    close(precision, np.array([1.0, 1 / 3, 0.2]), "precision")
    close(recall, np.array([0.5, 1.0, 1.0]), "recall")
    close(submission.average_precision(LABELS, SCORES, weights), 2 / 3, "average precision")
    close(submission.best_threshold(LABELS, SCORES, 1.0, weights), (0.9, 2 / 3), "best threshold")


def test_bad_arguments_are_refused(submission):
    """No positives, other labels, NaN, bad weights, bad beta, lengths that differ."""
    cases = {
        "only negatives": (np.zeros(4, dtype=int), SCORES),
        "a label of 2": (np.array([0, 2, 1, 0]), SCORES),
        "a label of -1": (np.array([0, -1, 1, 1]), SCORES),
        "a NaN score": (LABELS, np.array([0.9, np.nan, 0.7, 0.2])),
        "a negative weight": (LABELS, SCORES, np.array([1.0, 1.0, -0.5, 1.0])),
        "positives without weight": (LABELS, SCORES, np.array([0.0, 1.0, 0.0, 1.0])),
        "4 labels, 3 scores": (LABELS, SCORES[:3]),
        "3 labels, 4 scores": (LABELS[:3], SCORES),
        "4 labels, 3 weights": (LABELS, SCORES, np.ones(3)),
        "nothing": (LABELS[:0], SCORES[:0]),
    }
    for what, arguments in cases.items():
        raises(ValueError, submission.precision_recall, *arguments, what=f"curve: {what}")
        raises(ValueError, submission.average_precision, *arguments, what=f"average precision: {what}")
        first, rest = arguments[:2], arguments[2:]
        raises(ValueError, submission.best_threshold, *first, 1.0, *rest, what=f"best threshold: {what}")
    for beta in (0.0, -1.0, float("nan")):
        raises(ValueError, submission.best_threshold, LABELS, SCORES, beta, what=f"beta = {beta}")
