"""Hidden tests: two far clusters, float32, empty sets, a memory bound, arguments unchanged."""

import numpy as np

from handbook.practice.checks import close, equal, inside, unchanged


def test_two_clusters_far_apart(submission):
    """Moving the origin cannot help both clusters: near pairs must be exact in each."""
    rng = np.random.default_rng(4)
    centres = np.array([[5e4] * 8, [-5e4] * 8])
    y = centres[np.arange(60) % 2] + rng.normal(size=(60, 8))
    x = y[::-1] + 1e-3 * rng.normal(size=(60, 8))
    expected = np.linalg.norm(x[:, None] - y, axis=-1)
    close(submission.distances(x, y), expected, "two clusters 280,000 apart", rtol=1e-6, atol=1e-12)


def test_single_queries_far_away(submission):
    """The queries lie far from all stored vectors; then all stored vectors far from the queries."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(3, 5)) + 1e5, rng.normal(size=(9, 5))
    expected = np.linalg.norm(x[:, None] - y, axis=-1)
    close(submission.distances(x, y), expected, "queries at 100,000", rtol=1e-9)
    close(submission.distances(y, x), expected.T, "stored vectors at 100,000", rtol=1e-9)


def test_tiny_and_huge_numbers(submission):
    """Scaling by a power of two scales the result, for 2^-100 and 2^100."""
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(12, 6)), rng.normal(size=(10, 6))
    x[0] = y[0]
    plain = np.linalg.norm(x[:, None] - y, axis=-1)
    for power in (-100, 100):
        scale = 2.0**power
        got = submission.distances(x * scale, y * scale)
        close(got, plain * scale, f"scaled by 2^{power}", rtol=1e-9, atol=0.0)


def test_float32_is_computed_in_float64(submission):
    """float32 vectors near 1,000: their exact distances, as float64."""
    rng = np.random.default_rng(7)
    x = (1000 + rng.normal(size=(15, 9))).astype(np.float32)
    y = (1000 + rng.normal(size=(11, 9))).astype(np.float32)
    expected = np.linalg.norm(x[:, None].astype(np.float64) - y, axis=-1)
    for one, other, name in ((x, y, "both float32"), (x, y.astype(np.float64), "y float64")):
        close(submission.distances(one, other), expected, name, rtol=1e-9, dtype=np.float64)


def test_many_equal_vectors(submission):
    """300 by 300 copies of three vectors: exact zeros everywhere that they meet."""
    rows = np.random.default_rng(8).normal(size=(3, 40)) + 77
    x = rows[np.arange(300) % 3]
    got = submission.distances(x, x)
    same = np.arange(300)[:, None] % 3 == np.arange(300) % 3
    equal(got[same], np.zeros(same.sum()), "distances between equal vectors")
    close(got[~same], np.linalg.norm(x[:, None] - x, axis=-1)[~same], "distances between others")


def test_empty_sets(submission):
    """No queries, nothing stored, no numbers."""
    for n, m, d in ((0, 3, 4), (3, 0, 4), (0, 0, 4)):
        got = submission.distances(np.zeros((n, d)), np.zeros((m, d)))
        equal(got.shape, (n, m), f"shape for {n} and {m} vectors")
    close(submission.distances(np.zeros((2, 0)), np.zeros((3, 0))), np.zeros((2, 3)), "vectors of no numbers")


def measured(submission, n, d):
    """Distances of n by n vectors: peak memory in MiB, wrong samples, and whether the arguments stayed."""
    import tracemalloc

    import numpy as np

    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    kept = x.sum(), y.sum()
    tracemalloc.start()
    got = submission.distances(x, y)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    i, j = rng.integers(0, n, (2, 500))
    return peak, got[i, j], np.sqrt(((x[i] - y[j]) ** 2).sum(axis=1)), (x.sum(), y.sum()) == kept


def test_memory_of_a_large_set(submission):
    """2,000 by 2,000 vectors of 256: no array of all differences."""
    peak, got, expected, same = inside(submission, measured, 2000, 256)
    close(got, expected, "500 sampled pairs")
    assert peak < 300, f"peak memory: expected below 300 MiB, got {peak:.0f} MiB"
    equal(same, True, "arguments unchanged")


def test_memory_when_all_are_equal(submission):
    """500 times the same vector of 256: exact zeros must not cost an array of all differences either."""
    x = np.full((500, 256), 3.25)
    x[:, 0] += 0.5
    before = x.copy()
    equal(float(submission.distances(x, x).max()), 0.0, "largest distance of equal vectors")
    unchanged(x, before, "x")
