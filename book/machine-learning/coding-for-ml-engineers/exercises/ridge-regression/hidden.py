"""Hidden tests: the objective's gradient, scikit-learn, weights as copies, dependent columns, scale."""

import numpy as np

from handbook.practice.checks import close, unchanged


def case(seed):
    """Features and targets of 25 rows."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(25, 4)) * [1, 10, 0.1, 2] + 3, 4)
    return x, np.round(rng.normal(size=25) + x[:, 0], 4)


def test_gradient_is_zero(submission):
    """At the minimum both derivatives of the objective vanish, with weights and without."""
    for seed in range(6):
        x, y = case(seed)
        counts = np.random.default_rng(seed).uniform(0, 3, 25)
        for alpha in (0.0, 0.5, 50.0):
            for weights in (None, counts):
                w, b = submission.ridge(x, y, alpha, weights)
                residual = (x @ w + b - y) * (1 if weights is None else weights)
                what = f"seed {seed}, alpha {alpha}, weights {'given' if weights is not None else 'None'}"
                got = x.T @ residual + alpha * w
                close(got, np.zeros(4), f"half the gradient by w, {what}", atol=1e-8)
                close(float(residual.sum()), 0.0, f"half the gradient by b, {what}", atol=1e-8)


SKLEARN = (
    [1.1677939454134345, -0.016866053318146893, 0.05495579089790657, 0.06721162095006833],
    -0.8249207973170889,
)


def test_scikit_learn_agrees(submission):
    """scikit-learn 1.9.1, Ridge(alpha=2.5, solver="svd").fit(x, y, 1 + arange(25) % 3) on case(0)."""
    x, y = case(0)
    w, b = submission.ridge(x, y, 2.5, 1 + np.arange(25) % 3)
    close((w, float(b)), (np.array(SKLEARN[0]), SKLEARN[1]), "w and b", rtol=1e-8, peer="scikit-learn 1.9.1")


def test_weights_are_copies(submission):
    """Weight 3 is three times the row, weight 0 is no row, whatever that row holds."""
    x, y = case(7)
    counts = np.arange(25) % 4
    expected = submission.ridge(np.repeat(x, counts, axis=0), np.repeat(y, counts), 1.5)
    y = np.where(counts == 0, 1e6, y)
    close(submission.ridge(x, y, 1.5, counts), expected, "w and b with weights")
    scaled = submission.ridge(x, y, 0.015, counts * 0.01)
    close(scaled, expected, "weights and alpha both a hundredth")


def test_shortest_of_several(submission):
    """Without a penalty: fewer rows than columns, equal columns, a constant column."""
    x, y = np.random.default_rng(8).normal(size=(3, 6)), np.array([1.0, -1.0, 2.0])
    w, b = submission.ridge(x, y, 0.0)
    close(x @ w + b, y, "three rows are met exactly by six columns")
    centred = x - x.mean(axis=0)
    close(w, np.linalg.pinv(centred) @ (y - y.mean()), "the shortest w")
    line = np.arange(5.0)
    twice = np.stack((line, line, np.full(5, 4.0)), axis=1)
    w, b = submission.ridge(twice, 6 * line + 1, 0.0)
    close((w, float(b)), (np.array([3.0, 3.0, 0.0]), 1.0), "two equal columns and a constant one", atol=1e-9)


def test_far_means(submission):
    """Columns with a mean of 10^6 and a deviation of 1."""
    rng = np.random.default_rng(9)
    near = rng.normal(size=(50, 3))
    y = near @ np.array([1.0, 2.0, -1.0]) + 0.1 * rng.normal(size=50)
    for alpha in (0.0, 1.0):
        w, b = submission.ridge(near, y, alpha)
        far, moved = submission.ridge(near + 1e6, y, alpha)
        close(far, w, f"w with columns moved by 10^6, alpha {alpha}", rtol=1e-7)
        close((near + 1e6) @ far + moved, near @ w + b, f"predictions, alpha {alpha}", rtol=1e-6, atol=1e-7)


def test_nearly_equal_columns(submission):
    """One column is another but for 1e-7 of noise: predictions must still be right."""
    rng = np.random.default_rng(10)
    first = rng.normal(size=(40, 1))
    x = np.concatenate((first, first + 1e-7 * rng.normal(size=(40, 1))), axis=1)
    y = 3 * first[:, 0] + 1e7 * (x[:, 1] - x[:, 0])
    w, b = submission.ridge(x, y, 0.0)
    close(x @ w + b, y, "predictions without a penalty", rtol=0, atol=1e-4)


def test_one_row(submission):
    """One row, or one row with weight: w is 0 and b its target."""
    x, y = np.array([[2.0, 3.0], [9.0, 9.0]]), np.array([5.0, -5.0])
    for alpha in (0.0, 1.0):
        w, b = submission.ridge(x[:1], y[:1], alpha)
        close((w, float(b)), (np.zeros(2), 5.0), f"one row, alpha {alpha}")
        w, b = submission.ridge(x, y, alpha, np.array([0.3, 0.0]))
        close((w, float(b)), (np.zeros(2), 5.0), f"one row with weight, alpha {alpha}")


def test_types_and_arguments_unchanged(submission):
    """Integers and float32 in, float64 out, nothing changed."""
    x, y = np.array([[200], [100], [50]], dtype=np.uint8), np.array([1, 3, 5], dtype=np.int8)
    kept = x.copy(), y.copy()
    weights = np.array([1, 2, 1])
    got = submission.ridge(x, y, 1.0, weights)
    expected = submission.ridge(x.astype(np.float64), y.astype(np.float64), 1.0, weights.astype(np.float64))
    close(got, expected, "features of uint8, targets of int8", dtype=np.float64)
    got = submission.ridge(x.astype(np.float32), y.astype(np.float32), 1.0)
    close(got[0], submission.ridge(x, y, 1.0)[0], "features of float32", rtol=1e-12, dtype=np.float64)
    for now, before, name in zip((x, y, weights), (*kept, np.array([1, 2, 1])), ("x", "y", "w"), strict=True):
        unchanged(now, before, name)
