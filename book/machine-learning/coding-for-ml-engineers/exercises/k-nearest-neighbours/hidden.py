"""Hidden tests: the definition row by row, huge labels, all rows vote, cancellation, empty, large."""

import numpy as np

from handbook.practice.checks import equal, unchanged


def by_definition(train, labels, queries, k):
    said = []
    for query in queries:
        far = sorted(
            (sum((a - b) ** 2 for a, b in zip(row, query, strict=True)), i) for i, row in enumerate(train)
        )
        nearest = [int(labels[i]) for _, i in far[:k]]
        most = max(nearest.count(label) for label in nearest)
        said.append(next(label for label in nearest if nearest.count(label) == most))
    return np.array(said)


def test_definition_row_by_row(submission):
    """Rows on a small grid, so that distances and votes tie often."""
    rng = np.random.default_rng(2)
    for case in range(15):
        train, queries = rng.integers(0, 4, (12, 2)).astype(float), rng.integers(0, 4, (8, 2)).astype(float)
        labels = rng.integers(0, 3, 12)
        for k in (1, 2, 4, 7, 12):
            got = submission.knn_predict(train, labels, queries, k)
            equal(got, by_definition(train, labels, queries, k), f"case {case}, k = {k}")


def test_labels_are_names(submission):
    """Negative labels, and such that no table could be indexed by."""
    labels = np.array([-5, 2**62, -5, 2**62, -(2**62)])
    got = submission.knn_predict(TRAIN, labels, TRAIN, 1)
    equal(got, labels, "labels of 2^62")
    equal(submission.knn_predict(TRAIN, labels, np.array([[0.9]]), 3), np.array([-5]), "two votes for -5")


TRAIN = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]])


def test_type_of_labels_is_kept(submission):
    """int16 in, int16 out, also without queries."""
    labels = np.array([3, 1, 3, 2, 2], dtype=np.int16)
    for count in (3, 0):
        got = submission.knn_predict(TRAIN, labels, TRAIN[:count], 2)
        assert got.dtype == np.int16, f"{count} queries: expected dtype int16, got {got.dtype}"
        equal(got.shape, (count,), f"shape for {count} queries")


def test_all_rows_vote(submission):
    """k = N: the majority of the training set wherever the query lies."""
    labels = np.array([4, 4, 4, 6, 6])
    got = submission.knn_predict(TRAIN, labels, np.array([[100.0], [-100.0]]), 5)
    equal(got, np.array([4, 4]), "k = N = 5")


def test_far_from_the_origin(submission):
    """Embeddings near 10^8: the nearest is still the nearest."""
    rng = np.random.default_rng(3)
    train = 1e8 + rng.normal(size=(60, 8))
    queries, labels = train + 1e-3 * rng.normal(size=(60, 8)), np.arange(60)
    equal(submission.knn_predict(train, labels, queries, 1), labels, "each query beside its own row")


def test_float32_and_integers(submission):
    """Small integers must not wrap, and float32 is compared exactly."""
    train = np.array([[0, 0], [250, 250], [16, 0]], dtype=np.uint8)
    got = submission.knn_predict(
        train, np.array([0, 1, 2]), np.array([[9, 0], [200, 255]], dtype=np.uint8), 1
    )
    equal(got, np.array([2, 1]), "rows and queries of uint8")
    close = np.array([[1.0], [1.0 + 2.0**-23]], dtype=np.float32)
    got = submission.knn_predict(close, np.array([0, 1]), np.array([[1.0 + 2.0**-24 + 2.0**-40]]), 1)
    equal(got, np.array([1]), "two neighbours of float32, query of float64")


def test_large_set_and_arguments_unchanged(submission):
    """2,000 rows in ten clusters, 300 queries, nine votes."""
    rng = np.random.default_rng(4)
    centres = 20 * rng.normal(size=(10, 32))
    labels = rng.integers(0, 10, 2000)
    train = centres[labels] + rng.normal(size=(2000, 32))
    expected = rng.integers(0, 10, 300)
    queries = centres[expected] + rng.normal(size=(300, 32))
    before = train.copy(), labels.copy(), queries.copy()
    equal(submission.knn_predict(train, labels, queries, 9), expected, "clusters that are far apart")
    for now, kept, name in zip((train, labels, queries), before, ("train", "labels", "queries"), strict=True):
        unchanged(now, kept, name)
