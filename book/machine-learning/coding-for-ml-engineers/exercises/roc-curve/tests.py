"""Visible tests: the worked example, perfect scores, all scores equal, weights, bad arguments."""

import numpy as np

from handbook.practice.checks import close, raises

LABELS, SCORES = np.array([1, 0, 1, 0]), np.array([0.9, 0.7, 0.7, 0.2])


def test_worked_example(submission):
    """The statement's example."""
    fpr, tpr, thresholds = submission.roc_curve(LABELS, SCORES)
    close(thresholds, np.array([np.inf, 0.9, 0.7, 0.2]), "thresholds", dtype=np.float64)
    close(tpr, np.array([0.0, 0.5, 1.0, 1.0]), "tpr", dtype=np.float64)
    close(fpr, np.array([0.0, 0.0, 0.5, 1.0]), "fpr", dtype=np.float64)
    close(submission.auc(LABELS, SCORES), 0.875, "auc")


def test_perfect_and_reversed(submission):
    """All positives above all negatives: 1; the other way round: 0."""
    labels, scores = np.array([0, 1, 0, 1, 1]), np.array([-3.0, 5.0, 1.0, 2.0, 7.0])
    close(submission.auc(labels, scores), 1.0, "auc of perfect scores")
    close(submission.auc(labels, -scores), 0.0, "auc of reversed scores")
    close(submission.auc(1 - labels, scores), 0.0, "auc of reversed labels")


def test_equal_scores_are_one_point(submission):
    """A constant score: one step from 0, 0 to 1, 1 and an area of one half, in whatever order rows come."""
    for labels in ([1, 1, 0, 0, 0], [0, 0, 0, 1, 1]):
        fpr, tpr, thresholds = submission.roc_curve(np.array(labels), np.full(5, 0.5))
        close((fpr, tpr), (np.array([0.0, 1.0]), np.array([0.0, 1.0])), f"curve for labels {labels}")
        close(thresholds, np.array([np.inf, 0.5]), f"thresholds for labels {labels}")
        close(submission.auc(np.array(labels), np.full(5, 0.5)), 0.5, f"auc for labels {labels}")


def test_weights(submission):
    """The tied pair of the example, with a positive that weighs three times as much."""
    weights = np.array([3.0, 1.0, 1.0, 1.0])
    fpr, tpr, _ = submission.roc_curve(LABELS, SCORES, weights)
    close(tpr, np.array([0.0, 0.75, 1.0, 1.0]), "tpr")
    close(fpr, np.array([0.0, 0.0, 0.5, 1.0]), "fpr")
    close(submission.auc(LABELS, SCORES, weights), 0.9375, "auc")


def test_bad_arguments_are_refused(submission):
    """One class only, other labels, NaN, bad weights, lengths that differ."""
    nan = np.array([0.9, np.nan, 0.7, 0.2])
    cases = {
        "only positives": (np.ones(4, dtype=int), SCORES),
        "only negatives": (np.zeros(4, dtype=int), SCORES),
        "labels -1 and 1": (2 * LABELS - 1, SCORES),
        "labels 1 and 2": (LABELS + 1, SCORES),
        "a label of 2 among 0 and 1": (np.array([0, 2, 1, 0]), SCORES),
        "a label of one half": (np.array([0, 0.5, 1, 0]), SCORES),
        "a NaN score": (LABELS, nan),
        "a negative weight": (LABELS, SCORES, np.array([1.0, 1.0, -0.5, 1.0])),
        "positives without weight": (LABELS, SCORES, np.array([0.0, 1.0, 0.0, 1.0])),
        "negatives without weight": (LABELS, SCORES, np.array([1.0, 0.0, 1.0, 0.0])),
        "4 labels, 3 scores": (LABELS, SCORES[:3]),
        "3 labels, 4 scores": (LABELS[:3], SCORES),
        "4 labels, 3 weights": (LABELS, SCORES, np.ones(3)),
        "nothing": (LABELS[:0], SCORES[:0]),
    }
    for what, arguments in cases.items():
        raises(ValueError, submission.roc_curve, *arguments, what=f"curve: {what}")
        raises(ValueError, submission.auc, *arguments, what=f"auc: {what}")
