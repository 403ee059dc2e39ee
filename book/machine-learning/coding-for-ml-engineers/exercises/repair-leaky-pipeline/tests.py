"""Visible tests, one a leak: groups, gaps, scales, columns, the threshold."""

import numpy as np

from handbook.practice.checks import close, equal


def made(seed, rows=60, columns=12, size=3, gaps=0.0, signal=1.0):
    """Groups of `size` rows; the first two columns carry the label."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)) * rng.uniform(0.5, 5, size=columns)
    y = rng.integers(2, size=rows)
    x[:, :2] += 2 * signal * (y[:, None] - 0.5)
    x[rng.random(x.shape) < gaps] = np.nan
    return x, y, rng.permutation(np.arange(rows) // size)


def folds_of(groups, folds, seed):
    names = sorted(set(groups.tolist()))
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    fold = {name: i % folds for i, name in enumerate(order)}
    return np.array([fold[name] for name in groups.tolist()])


def others(groups, row):
    """The rows of the same fold as `row`, without it."""
    fold = folds_of(groups, 5, 0)
    rest = fold == fold[row]
    rest[row] = False
    return rest


def test_rows_of_a_group_are_held_out_together(submission):
    """A column that says nothing but the group is of no help: each group has its own label at random."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), 6)
    x = rng.normal(size=(40, 40))[groups] + 0.01 * rng.normal(size=(240, 40))
    y = rng.integers(2, size=40)[groups]
    got = (submission.cross_validate(x, y, groups, keep=40)[1] == y).mean()
    assert got < 0.75, f"share right where only the group says the label: expected about 0.5, got {got:.2f}"


def test_gaps_are_filled_from_training_rows(submission):
    """A value of a held-out row in a column with gaps changes no other score of its fold."""
    x, y, groups = made(2, gaps=0.3)
    row = next(i for i in range(60) if not np.isnan(x[i, 0]) and np.isnan(x[others(groups, i), 0]).any())
    before = submission.cross_validate(x, y, groups, keep=12)[0]
    x[row, 0] += 100
    after = submission.cross_validate(x, y, groups, keep=12)[0]
    rest = others(groups, row)
    close(after[rest], before[rest], f"scores beside row {row} after its first value grew by 100")


def test_scales_are_those_of_training_rows(submission):
    """An outlier in a held-out row changes its own score only."""
    x, y, groups = made(3)
    before = submission.cross_validate(x, y, groups, keep=12)[0]
    x[7] += 1000
    after = submission.cross_validate(x, y, groups, keep=12)[0]
    rest = others(groups, 7)
    close(after[rest], before[rest], "scores beside row 7 after it grew by 1,000")


def test_columns_are_chosen_by_training_labels(submission):
    """Among 400 random columns none helps: about half of the rows are right."""
    x, y, groups = made(4, rows=80, columns=400, size=1, signal=0.0)
    scores, _ = submission.cross_validate(x, y, groups, keep=10)
    got = ((scores >= 0.5) == y).mean()
    assert got < 0.7, f"share right by scores on labels drawn by coin: expected about 0.5, got {got:.2f}"


def test_threshold_comes_from_training_rows(submission):
    """Turning the labels of a fold around changes no prediction in it."""
    x, y, groups = made(5, signal=0.3)
    fold = folds_of(groups, 5, 0)
    _, before = submission.cross_validate(x, y, groups)
    for number in range(5):
        held = fold == number
        turned = np.where(held, 1 - y, y)
        _, after = submission.cross_validate(x, turned, groups)
        equal(
            after[held].tolist(), before[held].tolist(), f"labels of fold {number} after its own were turned"
        )
