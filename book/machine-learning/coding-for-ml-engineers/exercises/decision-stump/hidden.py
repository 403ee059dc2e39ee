"""Hidden tests: all splits by definition, weights as copies, neighbours in floating point, types, size."""

from itertools import pairwise

import numpy as np

from handbook.practice.checks import close, equal, unchanged


def by_definition(x, y, weights):
    """Every threshold of every feature, with plain loops."""
    classes, best = range(int(y.max()) + 1), None

    def side(rows):
        mass = [float(sum(weights[i] for i in rows if y[i] == c)) for c in classes]
        total = sum(mass)
        gini = total * (1 - sum((m / total) ** 2 for m in mass)) if total else 0.0
        return gini, mass.index(max(mass))

    for f in range(x.shape[1]):
        values = sorted(set(x[:, f].tolist()))
        for low, high in pairwise(values):
            t = (low + high) / 2
            left = side([i for i in range(len(x)) if x[i, f] <= t])
            right = side([i for i in range(len(x)) if x[i, f] > t])
            impurity = (left[0] + right[0]) / float(weights.sum())
            if best is None or impurity < best[2] - 1e-12:
                best = (f, t, impurity, left[1], right[1])
    return best


def test_all_splits_by_definition(submission):
    """Small random tables with few values, so that impurities tie; with and without weights."""
    rng = np.random.default_rng(1)
    for case in range(40):
        x, y = rng.integers(0, 4, (9, 3)).astype(float), rng.integers(0, 3, 9)
        x -= 2
        x[:2, 0] = -1, -2
        weights = rng.integers(0, 4, 9).astype(float) if case % 2 else np.ones(9)
        weights[0] = 1.0
        got = submission.fit_stump(x, y, weights)
        close(got, by_definition(x, y, weights), f"case {case}", rtol=1e-9, atol=1e-12)


def test_weights_are_copies(submission):
    """Whole weights are repeated rows, where every row weighs something; scaling them changes nothing."""
    rng = np.random.default_rng(2)
    for case in range(10):
        x, y, weights = np.round(rng.normal(size=(15, 2)), 2), rng.integers(0, 2, 15), rng.integers(1, 4, 15)
        expected = submission.fit_stump(np.repeat(x, weights, axis=0), np.repeat(y, weights))
        for scale in (1.0, 1e-3, 1e6):
            got = submission.fit_stump(x, y, weights * scale)
            close(got, expected, f"case {case}, weights times {scale}", rtol=1e-9, atol=1e-12)


def test_equal_values_stay_together(submission):
    """The best place lies between equal values: a split must not go there."""
    x = np.array([[1.0], [1.0], [1.0], [1.0], [2.0]])
    got = submission.fit_stump(x, np.array([0, 0, 1, 1, 1]))
    close(got, (0, 1.5, 0.4, 0, 1), "four equal values and one other")


def test_neighbours_in_floating_point(submission):
    """Between 1 and the next float there is no midpoint: the threshold must still send 1 to the left."""
    for low in (1.0, 1.0 - 2**-53, 3e-320, 1e300, -1.0):
        high = float(np.nextafter(low, np.inf))
        feature, threshold, impurity, left, right = submission.fit_stump(
            np.array([[low], [high]]), np.array([0, 1])
        )
        equal((feature, left, right), (0, 0, 1), f"split of {low!r} and the next float")
        assert low <= threshold < high, (
            f"expected a threshold from {low!r} to below {high!r}, got {threshold!r}"
        )
        close(impurity, 0.0, f"impurity of {low!r} and the next float")


def test_large_values_do_not_overflow(submission):
    """The midpoint of 1e308 and 1.5e308 is a float, their sum is not; nor is 1e308 less -1e308."""
    got = submission.fit_stump(np.array([[1e308], [1.5e308]]), np.array([1, 0]))
    close(got, (0, 1.25e308, 0.0, 1, 0), "values near the largest float")
    got = submission.fit_stump(np.array([[1e308], [-1e308]]), np.array([1, 0]))
    close(got, (0, 0.0, 0.0, 0, 1), "values near the largest float, of both signs")


def test_side_without_weight(submission):
    """Rows of weight 0 make thresholds, and a side of them has class 0 and adds nothing."""
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([1, 1, 2])
    close(submission.fit_stump(x, y, np.array([0, 1, 0])), (0, 0.5, 0.0, 0, 1), "only the middle row weighs")
    close(submission.fit_stump(x, y, np.array([1, 0, 0])), (0, 0.5, 0.0, 1, 0), "only the first row weighs")


def test_one_row(submission):
    """Nothing to split."""
    got = submission.fit_stump(np.array([[1.0, 2.0]]), np.array([3]))
    close(got, (-1, float("nan"), 0.0, 3, 3), "one row")


def test_types_and_arguments_unchanged(submission):
    """Integers: midpoints are not whole; plain numbers come back; nothing changes."""
    x, y, weights = (
        np.array([[250], [255], [3]], dtype=np.uint8),
        np.array([0, 1, 0], dtype=np.int8),
        np.ones(3),
    )
    kept = x.copy(), y.copy(), weights.copy()
    got = submission.fit_stump(x, y, weights)
    close(got, (0, 252.5, 0.0, 0, 1), "features of uint8")
    kinds = [type(value).__name__ for value in got]
    equal(kinds, ["int", "float", "float", "int", "int"], "types of the five values")
    for now, before, name in zip((x, y, weights), kept, ("x", "y", "weights"), strict=True):
        unchanged(now, before, name)


def test_many_rows(submission):
    """20,000 rows of 5 features: the third carries the signal."""
    rng = np.random.default_rng(3)
    x = rng.permuted(np.tile(np.arange(20_000.0), (5, 1)), axis=1).T
    y = (x[:, 2] > 12_344.5).astype(np.int64)
    flipped = rng.integers(0, 20_000, 300)
    y[flipped] = 1 - y[flipped]
    feature, threshold, impurity, left, right = submission.fit_stump(x, y)
    equal((feature, left, right), (2, 0, 1), "feature and classes")
    close(threshold, 12_344.5, "threshold", rtol=1e-3)
    assert 0.01 < impurity < 0.05, (
        f"impurity with 1.5 % of labels flipped: expected about 0.03, got {impurity}"
    )


def growth_input(n):
    """n rows of two features and two classes."""
    rng = np.random.default_rng(4)
    return rng.normal(size=(n, 2)), rng.integers(0, 2, n)
