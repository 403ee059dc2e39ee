"""Hidden tests: the definition for many settings, the deal, one row at a time, flat columns, arguments."""

import numpy as np

from handbook.practice.checks import close, equal, unchanged


def made(seed, rows=45, columns=8, gaps=0.0, signal=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(1, 1, size=(rows, columns)) * rng.uniform(0.5, 5, size=columns)
    y = rng.integers(2, size=rows)
    x[:, :2] += 2 * signal * (y[:, None] - 0.5)
    x[rng.random(x.shape) < gaps] = np.nan
    return x, y, rng.integers(0, 20, size=rows)


def folds_of(groups, folds, seed):
    names = sorted(set(groups.tolist()))
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    fold = {name: i % folds for i, name in enumerate(order)}
    return np.array([fold[name] for name in groups.tolist()])


def reference(x, y, groups, folds=5, keep=5, seed=0):
    """Learns a fold's numbers from a copy of the training rows alone, and then scores one row at a time."""
    fold_of = folds_of(groups, folds, seed)
    scores, predicted = np.zeros(len(x)), np.zeros(len(x), dtype=int)
    for fold in range(folds):
        a, b = x[fold_of != fold], y[fold_of != fold]
        fill = np.array([column[~np.isnan(column)].mean() for column in a.T])
        a = np.where(np.isnan(a), fill, a)
        middle, spread = a.mean(0), a.std(0)
        spread[spread == 0] = 1
        a = (a - middle) / spread
        strength = np.abs(a.T @ (b - b.mean()))
        columns = sorted(range(len(strength)), key=lambda j: (-strength[j], j))[:keep]
        a = a[:, columns]
        weights = np.linalg.inv(a.T @ a + np.eye(len(columns))) @ a.T @ (b - b.mean())
        own = b.mean() + a @ weights
        tries = sorted(set(own.tolist()))
        cut = max(tries, key=lambda t: (((own >= t) == b).sum(), -t))
        for row in np.flatnonzero(fold_of == fold):
            z = (np.where(np.isnan(x[row]), fill, x[row]) - middle) / spread
            scores[row] = b.mean() + z[columns] @ weights
            predicted[row] = scores[row] >= cut
    return scores, predicted


def compare(submission, what, *args):
    scores, predicted = submission.cross_validate(*args)
    expected, labels = reference(*args)
    close(scores, expected, f"{what}: scores", rtol=1e-7, atol=1e-9)
    equal(predicted.tolist(), labels.tolist(), f"{what}: labels")


def test_definition_for_many_settings(submission):
    """Twelve data sets with gaps, other numbers of folds and columns, and other seeds."""
    for seed in range(12):
        x, y, groups = made(seed, gaps=0.15 * (seed % 2), signal=0.4)
        args = (x, y, groups, 2 + seed % 4, 1 + seed % 8, seed)
        compare(submission, f"data {seed}, {args[3:]}", *args)


def test_defaults(submission):
    """Five folds, five columns, seed 0."""
    compare(submission, "defaults", *made(20))


def test_groups_of_any_number_and_size(submission):
    """Group numbers with holes and below 0, groups of one row, and as many groups as folds."""
    x, y, groups = made(21)
    compare(submission, "groups times 100 less 700", x, y, 100 * groups - 700, 4)
    compare(submission, "every row its own group", x, y, np.arange(45)[::-1].copy(), 5)
    compare(submission, "three groups in three folds", x, y, groups % 3, 3)


def test_one_row_at_a_time(submission):
    """A held-out row moved far away changes its own score and no other of its fold."""
    x, y, groups = made(22, rows=20)
    fold = folds_of(groups, 5, 0)
    before = submission.cross_validate(x, y, groups)[0]
    for row in range(0, 20, 3):
        moved = x.copy()
        moved[row] += np.random.default_rng(row).normal(0, 50, size=8)
        after = submission.cross_validate(moved, y, groups)[0]
        rest = (fold == fold[row]) & (np.arange(20) != row)
        close(after[rest], before[rest], f"scores beside row {row} after it has moved")
        assert after[row] != before[row], (
            f"score of row {row}: expected another than {before[row]}, got the same"
        )


def test_flat_and_equal_columns(submission):
    """A column without spread counts as spread 1; of two equal columns the first is kept."""
    x, y, groups = made(23)
    x[:, 3] = 4.0
    x[:, 5] = x[:, 0]
    compare(submission, "a flat column and two equal ones", x, y, groups, 5, 1)
    compare(submission, "the same, all columns kept", x, y, groups, 5, 8)
    x[:, :] = 4.0
    compare(submission, "nothing but flat columns", x, y, groups)


def test_a_signal_is_still_found(submission):
    """Where two columns carry the label, most rows are right."""
    x, y, groups = made(24, rows=200, signal=4.0)
    got = (submission.cross_validate(x, y, groups, 5, 2)[1] == y).mean()
    assert got > 0.8, f"share right with a strong signal: expected above 0.8, got {got:.2f}"


def test_arguments_unchanged(submission):
    """Features with their gaps, labels and groups are as they were."""
    x, y, groups = made(25, gaps=0.2)
    before = x.copy(), y.copy(), groups.copy()
    submission.cross_validate(x, y, groups)
    for name, now, kept in zip(("x", "y", "groups"), (x, y, groups), before, strict=True):
        unchanged(now, kept, name)
