"""Hidden tests: the eigenvectors, scikit-learn, signs, weak directions, far means, flat data, types."""

import numpy as np

from handbook.practice.checks import close, equal, unchanged


def test_best_reconstruction(submission):
    """What k axes leave over is the sum of the smaller eigenvalues, and no other axes leave less."""
    x = np.random.default_rng(5).normal(size=(30, 6)) @ np.random.default_rng(6).normal(size=(6, 6))
    values = np.sort(np.linalg.eigvalsh(np.cov(x.T)))[::-1]
    for k in range(1, 7):
        model = submission.PCA(k).fit(x)
        left = ((model.inverse_transform(model.transform(x)) - x) ** 2).sum() / 29
        close(float(left), float(values[k:].sum()), f"variance left over with k = {k}", atol=1e-9)
        close(model.variance, values[:k], f"variances with k = {k}", rtol=1e-9)
        close(model.ratio, values[:k] / values.sum(), f"ratios with k = {k}", rtol=1e-9)


SKLEARN = (
    [
        [0.6344614615572465, -0.02680835017741412, 0.7719698365292782, 0.02832909543856732],
        [0.7688938995421895, -0.06916916935819972, -0.6351936342788664, 0.023384700740178704],
    ],
    [0.5511946789753401, 0.36858516468128766],
)


def test_scikit_learn_agrees(submission):
    """scikit-learn 1.9.1, PCA(2, svd_solver="full") on this data, axes with our signs, and its ratios."""
    x = np.round(np.random.default_rng(7).normal(size=(15, 4)) * [3, 1, 2, 0.5] + 1, 3)
    model = submission.PCA(2).fit(x)
    close(model.axes, np.array(SKLEARN[0]), "axes", rtol=1e-8, peer="scikit-learn 1.9.1")
    close(model.ratio, np.array(SKLEARN[1]), "ratio", rtol=1e-8, peer="scikit-learn 1.9.1")


def test_signs(submission):
    """The largest entry of each axis is positive, whatever the data's sign; of equal ones the first."""
    for seed in range(10):
        x = np.random.default_rng(seed).normal(size=(12, 5))
        model, mirrored = submission.PCA(5).fit(x), submission.PCA(5).fit(-x)
        largest = model.axes[np.arange(5), np.abs(model.axes).argmax(axis=1)]
        assert (largest > 0).all(), f"seed {seed}: expected positive largest entries, got {largest}"
        close(mirrored.axes, model.axes, f"seed {seed}: axes of the mirrored data", atol=1e-9)
    x = np.array([[-1.0, 1.0], [1.0, -1.0], [0.1, 0.1], [-0.1, -0.1]])
    root = np.sqrt(0.5)
    close(submission.PCA(2).fit(x).axes, np.array([[root, -root], [root, root]]), "axes along both diagonals")
    close(submission.PCA(2).fit(-x).axes, np.array([[root, -root], [root, root]]), "the same, mirrored")


def test_weak_direction(submission):
    """A deviation of 1e-7 beside one of 1: the covariance's eigenvalues cannot show it."""
    rng = np.random.default_rng(8)
    strong, weak = rng.normal(size=200), rng.normal(size=200)
    strong, weak = strong - strong.mean(), weak - weak.mean()
    weak -= strong * (strong @ weak) / (strong @ strong)
    turn = np.array([[np.cos(0.7), np.sin(0.7)], [-np.sin(0.7), np.cos(0.7)]])
    x = np.stack((strong, 1e-7 * weak), axis=1) @ turn
    model = submission.PCA(2).fit(x)
    expected = np.array([strong.var(ddof=1), 1e-14 * weak.var(ddof=1)])
    close(model.variance, expected, "variances", rtol=1e-5, atol=0.0)
    z = submission.PCA(2, whiten=True).fit(x).transform(x)
    close(z.var(axis=0, ddof=1), np.ones(2), "variances of whitened coordinates", rtol=1e-5)


def test_far_means(submission):
    """Columns with means of 10^6 have the axes of the centred ones."""
    x = np.random.default_rng(9).normal(size=(50, 3)) * [1.0, 2.0, 4.0]
    near, far = submission.PCA(3).fit(x), submission.PCA(3).fit(x + 1e6)
    close(far.axes, near.axes, "axes", rtol=1e-6, atol=1e-8)
    close(far.variance, near.variance, "variances", rtol=1e-7)
    close(far.transform(x + 1e6), near.transform(x), "coordinates", rtol=1e-6, atol=1e-6)


def test_flat_data(submission):
    """All rows equal, or all on a line: no NaN, no blown-up noise."""
    same = np.full((4, 3), 2.5)
    for whiten in (False, True):
        model = submission.PCA(2, whiten).fit(same)
        close(model.ratio, np.zeros(2), f"ratio of equal rows, whiten {whiten}")
        close(
            model.transform(same + 1),
            np.zeros((4, 2)) if whiten else model.transform(same + 1),
            f"coordinates of equal rows, whiten {whiten}",
        )
        close(model.inverse_transform(model.transform(same)), same, f"equal rows, whiten {whiten}")
    line = np.arange(6.0)[:, None] * np.array([1.0, -2.0, 0.5])
    z = submission.PCA(2, whiten=True).fit(line).transform(line)
    close(z[:, 0].var(ddof=1), 1.0, "variance along the line")
    close(z[:, 1], np.zeros(6), "coordinates beside the line")
    back = submission.PCA(2, whiten=True).fit(line).inverse_transform(np.array([[0.0, 7.0]]))
    close(back[0], line.mean(axis=0), "a point beside the line, back to the columns", atol=1e-12)


def test_fewer_rows_than_columns(submission):
    """4 rows of 10 columns have 3 directions; the fourth has no variance."""
    x = np.random.default_rng(10).normal(size=(4, 10))
    model = submission.PCA(4).fit(x)
    equal(model.axes.shape, (4, 10), "shape of the axes")
    close(model.variance[3], 0.0, "fourth variance", atol=1e-20)
    close(model.inverse_transform(model.transform(x)), x, "rows back and forth", atol=1e-10)


def test_small_scale(submission):
    """Scaling by 2^-30 scales the variances by 2^-60 and nothing else."""
    x = np.random.default_rng(12).normal(size=(9, 3)) * [4.0, 2.0, 1.0]
    for whiten in (False, True):
        plain, small = submission.PCA(2, whiten).fit(x), submission.PCA(2, whiten).fit(x * 2**-30)
        close(small.ratio, plain.ratio, f"ratio, whiten {whiten}")
        close(small.variance * 2**60, plain.variance, f"variance, whiten {whiten}")
        scale = 1.0 if whiten else 2**30
        close(small.transform(x * 2**-30) * scale, plain.transform(x), f"coordinates, whiten {whiten}")


def test_two_rows(submission):
    """The least that has a direction."""
    model = submission.PCA(1).fit(np.array([[0.0, 0.0], [3.0, 4.0]]))
    close(model.axes, np.array([[0.6, 0.8]]), "axis of two rows")
    close(model.variance, np.array([12.5]), "variance of two rows")


def test_wide_rows(submission):
    """20 rows of 20,000 columns: an array of D by D would take 3.2 GB."""
    x = np.zeros((20, 20_000))
    x[:, 700], x[:, 19_999] = np.arange(20.0), 3 * np.arange(20.0) % 7
    model = submission.PCA(2).fit(x)
    small = submission.PCA(2).fit(x[:, [700, 19_999]])
    close(model.axes[:, [700, 19_999]], small.axes, "the two columns that vary", atol=1e-9)
    close(model.variance, small.variance, "variances")


def test_fit_again_and_arguments_unchanged(submission):
    """A second fit forgets the first; float32 and integers in, float64 out; fit returns the model."""
    rng = np.random.default_rng(11)
    x, other = rng.normal(size=(10, 3)).astype(np.float32), rng.integers(0, 200, (8, 4)).astype(np.uint8)
    kept = x.copy(), other.copy()
    model = submission.PCA(2)
    model.fit(x)
    close(
        model.fit(other).axes, submission.PCA(2).fit(other.astype(np.float64)).axes, "axes of the second fit"
    )
    for name in ("mean", "axes", "variance", "ratio"):
        got = getattr(model.fit(x), name)
        assert got.dtype == np.float64, f"{name} of float32: expected dtype float64, got {got.dtype}"
        close(
            got, getattr(submission.PCA(2).fit(x.astype(np.float64)), name), f"{name} of float32", rtol=1e-12
        )
    z = model.transform(x)
    model.inverse_transform(z)
    unchanged(x, kept[0], "x of float32")
    unchanged(other, kept[1], "x of uint8")
