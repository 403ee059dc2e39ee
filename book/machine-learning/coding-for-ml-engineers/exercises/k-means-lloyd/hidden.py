"""Hidden tests: steps by definition, the seeding's distribution, scikit-learn, ties, empty clusters, size."""

import numpy as np

from handbook.practice.checks import close, equal, unchanged


def by_definition(points, centres, steps):
    centres, before, history = [list(map(float, c)) for c in centres], None, []
    for _ in range(steps):
        table = [[sum((a - b) ** 2 for a, b in zip(p, c, strict=True)) for c in centres] for p in points]
        labels = [row.index(min(row)) for row in table]
        history.append(sum(min(row) for row in table))
        if labels == before:
            break
        before, taken, moved = labels, set(), []
        for k in range(len(centres)):
            mine = [points[i] for i in range(len(points)) if labels[i] == k]
            if mine:
                moved.append([sum(values) / len(mine) for values in zip(*mine, strict=True)])
                continue
            left = [i for i in range(len(points)) if i not in taken]
            worst = max(left, key=lambda i: (min(table[i]), -i))
            taken.add(worst)
            moved.append(list(points[worst]))
        centres = moved
    return np.array(centres), np.array(labels), history


def test_steps_by_definition(submission):
    """Small grids, where distances tie and clusters run empty, after 1, 2, 3 and 20 steps."""
    rng = np.random.default_rng(4)
    for case in range(20):
        scale = (1.0, 0.125)[case % 2]
        points = scale * rng.integers(0, 5, (12, 2))
        start = scale * rng.integers(0, 9, (rng.integers(1, 6), 2))
        for steps in (1, 2, 3, 20):
            got = submission.kmeans(points, start, steps)
            expected = by_definition(points.tolist(), start.tolist(), steps)
            for one, other, name in zip(got, expected, ("centres", "labels", "history"), strict=True):
                close(one, other, f"case {case}, {steps} steps: {name}", rtol=1e-9)


SKLEARN_CENTRES = [
    [2.7839473684210527, 2.2150526315789474],
    [5.628, 5.975],
    [0.1022631578947375, -0.11073684210526302],
]
SKLEARN_INERTIA = 81.72432726315792
SKLEARN_COUNTS = [19, 22, 19]


def test_scikit_learn_agrees(submission):
    """scikit-learn 1.9.1, KMeans(3, init=points[:3], n_init=1, algorithm="lloyd", tol=0) on this data."""
    rng = np.random.default_rng(5)
    points = np.round(rng.normal(size=(60, 2)) + 3 * rng.integers(0, 3, (60, 1)), 3)
    centres, labels, history = submission.kmeans(points, points[:3], 300)
    close(centres, np.array(SKLEARN_CENTRES), "centres", rtol=1e-9, peer="scikit-learn 1.9.1")
    close(history[-1], SKLEARN_INERTIA, "inertia", rtol=1e-9, peer="scikit-learn 1.9.1")
    equal(np.bincount(labels).tolist(), SKLEARN_COUNTS, "points of each cluster")


def test_seeds_are_drawn_by_squared_distance(submission):
    """Points at 0, 1 and 3 of the first centre: the second is at 3 nine times of ten, not three of four."""
    points = np.array([[0.0], [1.0], [3.0]]) / 1024
    drawn = [submission.seed(points, 2, np.random.default_rng(s))[:, 0] * 1024 for s in range(600)]
    second = [b for a, b in drawn if a == 0.0]
    share = second.count(3.0) / len(second)
    assert 0.84 < share < 0.96, f"share of 3 after 0: expected about 0.9, got {share:.3f}"
    first = [a for a, _ in drawn].count(0.0) / 600
    assert 0.26 < first < 0.41, f"share of 0 as the first: expected about a third, got {first:.3f}"


def test_third_seed_looks_at_the_nearest(submission):
    """With 0 and 12 on an axis drawn, 10 has a weight of 4; a point of 25 times -1 has 25, not 1."""
    points = np.zeros((4, 25))
    points[1:3, 0], points[3] = (12.0, 10.0), -1.0
    drawn = [submission.seed(points, 3, np.random.default_rng(s)).sum(axis=1) for s in range(1200)]
    third = [c for a, b, c in drawn if {a, b} == {0.0, 12.0}]
    share = third.count(-25.0) / len(third)
    assert 0.78 < share < 0.94, f"share of the last point after 0 and 12: expected 25/29, got {share:.3f}"


def test_same_seed_same_centres(submission):
    """All randomness comes from the generator, one draw a centre, and the generator moves on."""
    points = np.random.default_rng(6).normal(size=(40, 3))
    one, two = np.random.default_rng(7), np.random.default_rng(7)
    equal(submission.seed(points, 5, one), submission.seed(points, 5, two), "two runs of the same generator")
    again = submission.seed(points, 5, one)
    assert not np.array_equal(again, submission.seed(points, 5, np.random.default_rng(7))), (
        "a generator that has moved on: expected other centres, got the same"
    )


def test_equal_points_can_be_seeded(submission):
    """More centres than different points: no division by zero, and NaN nowhere."""
    points = np.full((4, 2), 2.5)
    equal(submission.seed(points, 3, np.random.default_rng(8)), np.full((3, 2), 2.5), "seeds of equal points")
    centres, labels, history = submission.kmeans(points, points[:3], 5)
    equal(centres, np.full((3, 2), 2.5), "centres of equal points")
    equal(labels, np.zeros(4, dtype=np.int64), "labels of equal points")
    equal(history, [0.0, 0.0], "history of equal points")


def test_k_of_one_and_of_all(submission):
    """One cluster is the mean; N clusters are the points."""
    points = np.random.default_rng(9).normal(size=(7, 3))
    centres, _, history = submission.kmeans(points, points[:1], 10)
    close(centres[0], points.mean(axis=0), "the only centre")
    close(history[-1], float(((points - points.mean(axis=0)) ** 2).sum()), "inertia of one cluster")
    centres, labels, history = submission.kmeans(points, points, 10)
    equal(labels, np.arange(7), "labels with a centre on each point")
    equal(history, [0.0, 0.0], "inertia with a centre on each point")
    for k in (1, 7):
        equal(
            submission.seed(points, k, np.random.default_rng(1)).shape,
            (k, 3),
            f"shape of {k} seeds of 7 points",
        )


def test_far_from_the_origin_and_integers(submission):
    """Two groups near 10^8 that lie 4 apart; and points of uint8."""
    rng = np.random.default_rng(10)
    labels = np.arange(50) % 2
    points = 1e8 + 4.0 * labels[:, None] + 0.2 * rng.normal(size=(50, 2))
    got = submission.kmeans(points, points[:2], 20)
    equal(got[1], labels, "groups near 10^8")
    expected = sum(float(((p - p.mean(axis=0)) ** 2).sum()) for p in (points[::2], points[1::2]))
    close(got[2][-1], expected, "inertia of groups near 10^8", rtol=1e-6)
    small = np.array([[0], [10], [240], [250]], dtype=np.uint8)
    centres, _, history = submission.kmeans(small, small[[0, 3]], 9)
    close(centres, np.array([[5.0], [245.0]]), "centres of uint8", dtype=np.float64)
    close(history[-1], 100.0, "inertia of uint8")
    got = submission.seed(small, 2, np.random.default_rng(11))
    assert got.dtype == np.float64, f"seeds of uint8: expected dtype float64, got {got.dtype}"


def test_large_set_and_arguments_unchanged(submission):
    """20,000 points, ten steps, shapes and types."""
    rng = np.random.default_rng(12)
    points = rng.normal(size=(20_000, 8)) + 12 * np.eye(8)[rng.integers(0, 8, 20_000)]
    start, before = points[:8].copy(), points.copy()
    _, labels, history = submission.kmeans(points, start, 10)
    assert len(history) <= 10, f"10 steps: expected at most 10 entries, got {len(history)}"
    assert labels.dtype == np.int64, f"labels: expected dtype int64, got {labels.dtype}"
    unchanged(points, before, "points")
    unchanged(start, before[:8], "centres")
