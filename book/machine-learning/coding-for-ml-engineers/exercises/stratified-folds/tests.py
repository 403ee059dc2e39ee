"""Visible tests: the worked example, even classes, groups kept together, random, bad arguments."""

import numpy as np

from handbook.practice.checks import equal, raises


def table(folds, labels, k):
    """Rows of each fold and class."""
    return [[int(((folds == f) & (labels == c)).sum()) for c in np.unique(labels)] for f in range(k)]


def test_worked_example(submission):
    """The statement's examples."""
    labels = np.array(["a", "a", "a", "a", "b", "b"])
    folds = submission.stratified_folds(labels, 2, np.random.default_rng(0))
    assert folds.dtype == np.int64, f"expected dtype int64, got {folds.dtype}"
    equal(table(folds, labels, 2), [[2, 1], [2, 1]], "rows of each fold and class")
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array(["x", "x", "y", "y", "z", "z"])
    folds = submission.stratified_folds(labels, 3, np.random.default_rng(0), groups)
    equal(folds[::2].tolist(), folds[1::2].tolist(), "folds of both rows of each group")
    equal(sorted(folds[::2].tolist()), [0, 1, 2], "folds of three groups")


def test_classes_are_even(submission):
    """Rows of a class, and of all, differ by at most 1 between folds."""
    rng = np.random.default_rng(1)
    for n, k in ((23, 2), (50, 5), (97, 7), (12, 12)):
        labels = rng.integers(0, 4, n)
        counts = np.array(table(submission.stratified_folds(labels, k, rng), labels, k))
        got = [int(v) for v in (counts.max(axis=0) - counts.min(axis=0))]
        assert max(got) <= 1, f"{n} rows in {k} folds: expected differences of at most 1, got {got}"
        sizes = counts.sum(axis=1)
        assert sizes.max() - sizes.min() <= 1, f"{n} rows in {k} folds: expected even folds, got {sizes}"


def test_groups_stay_together(submission):
    """No group is in two folds, and no fold is empty."""
    rng = np.random.default_rng(2)
    groups = rng.integers(100, 130, 200)
    labels = rng.integers(0, 2, 200)
    folds = submission.stratified_folds(labels, 4, rng, groups)
    for group in np.unique(groups):
        equal(len(set(folds[groups == group].tolist())), 1, f"folds of group {group}")
    equal(sorted(set(folds.tolist())), [0, 1, 2, 3], "folds that have rows")


def test_all_randomness_is_the_generators(submission):
    """Same state, same folds; another state, others; sorted labels are not cut into blocks."""
    labels = np.repeat([0, 1], 50)
    one, same, other = (submission.stratified_folds(labels, 5, np.random.default_rng(s)) for s in (3, 3, 4))
    equal(same, one, "two runs with the same seed")
    assert not np.array_equal(other, one), "another seed: expected other folds, got the same"
    for start in range(0, 100, 10):
        got = len(set(one[start : start + 10].tolist()))
        assert got > 1, f"rows {start} to {start + 9}: expected several folds, got {got}"


def test_bad_arguments_are_refused(submission):
    """Too few or too many folds, fewer groups than folds, lengths that differ."""
    labels, rng = np.array([0, 1, 0, 1]), np.random.default_rng(5)
    for k in (0, 1, 5):
        raises(ValueError, submission.stratified_folds, labels, k, rng, what=f"{k} folds of 4 rows")
    groups = np.array([1, 1, 2, 2])
    raises(ValueError, submission.stratified_folds, labels, 3, rng, groups, what="3 folds of 2 groups")
    raises(ValueError, submission.stratified_folds, labels, 2, rng, groups[:3], what="4 labels, 3 groups")
