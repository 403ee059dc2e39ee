"""Hidden tests: pairs counted, thresholds tried, scikit-learn, weights as copies, odd scores, size."""

import numpy as np

from handbook.practice.checks import close, equal, unchanged


def table(seed, count=30, levels=8):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    labels[:2] = 0, 1
    return labels, np.round(rng.integers(0, levels, count) / levels + 0.3 * labels, 3)


def test_counted_pairs_agree(submission):
    """The area is the share of pairs in the right order, ties a half, with weights of pairs multiplied."""
    for seed in range(12):
        labels, scores = table(seed)
        for weights in (np.ones(30), np.random.default_rng(seed).uniform(0.1, 3, 30)):
            right = total = 0.0
            for i in np.flatnonzero(labels == 1):
                for j in np.flatnonzero(labels == 0):
                    pair = weights[i] * weights[j]
                    right += pair * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
                    total += pair
            close(submission.auc(labels, scores, weights), float(right / total), f"table {seed}", rtol=1e-9)


def test_every_threshold_by_definition(submission):
    """Each point is what calling score >= threshold positive gives; each different score has a point."""
    for seed in range(12):
        labels, scores = table(seed)
        fpr, tpr, thresholds = submission.roc_curve(labels, scores)
        expected = np.array([np.inf, *sorted(set(scores.tolist()), reverse=True)])
        equal(thresholds, expected, f"table {seed}: thresholds")
        for rates, label, name in ((tpr, 1, "tpr"), (fpr, 0, "fpr")):
            mine = scores[labels == label]
            close(rates, np.array([(mine >= t).mean() for t in expected]), f"table {seed}: {name}")


SKLEARN = (
    [
        0.0,
        0.0,
        0.0,
        0.2857142857142857,
        0.4523809523809524,
        0.4523809523809524,
        0.47619047619047616,
        0.47619047619047616,
        0.5238095238095238,
        0.5238095238095238,
        0.5238095238095238,
        0.8095238095238095,
        0.8333333333333334,
        1.0,
    ],
    [
        0.0,
        0.06451612903225806,
        0.41935483870967744,
        0.41935483870967744,
        0.41935483870967744,
        0.6451612903225806,
        0.6451612903225806,
        0.7096774193548387,
        0.7096774193548387,
        0.8387096774193549,
        1.0,
        1.0,
        1.0,
        1.0,
    ],
    0.7150537634408602,
)


def test_scikit_learn_agrees(submission):
    """scikit-learn 1.9.1, roc_curve(drop_intermediate=False) and roc_auc_score on table(3), weighted."""
    labels, scores = table(3)
    weights = 1 + np.arange(30) % 4
    fpr, tpr, _ = submission.roc_curve(labels, scores, weights)
    close((fpr, tpr), (np.array(SKLEARN[0]), np.array(SKLEARN[1])), "fpr and tpr", peer="scikit-learn 1.9.1")
    close(submission.auc(labels, scores, weights), SKLEARN[2], "auc", peer="scikit-learn 1.9.1")


def test_weights_are_copies(submission):
    """Weight 3 is three rows; weight 0 keeps its threshold and moves nothing."""
    labels, scores = table(20)
    weights = np.arange(30) % 4 + (np.arange(30) < 2)
    expected = submission.auc(np.repeat(labels, weights), np.repeat(scores, weights))
    for scale in (1.0, 1e-9, 1e9):
        close(submission.auc(labels, scores, weights * scale), expected, f"auc, weights times {scale:g}")
    fpr, tpr, thresholds = submission.roc_curve(np.array([1, 0, 1]), np.array([3, 2, 1]), np.array([1, 1, 0]))
    equal(thresholds, np.array([np.inf, 3.0, 2.0, 1.0]), "thresholds with a weight of 0")
    equal((fpr, tpr), (np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])), "with a weight of 0")


def test_order_of_rows_does_not_matter(submission):
    """Shuffled rows have the same curve, ties or not."""
    labels, scores = table(21)
    expected = submission.roc_curve(labels, scores)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(30)
        close(submission.roc_curve(labels[order], scores[order]), expected, f"shuffle {seed}")


def test_odd_scores(submission):
    """Logits, infinities, unsigned integers, booleans as labels, neighbouring floats."""
    labels = np.array([True, False, True, False])
    close(submission.auc(labels, np.array([np.inf, -1e9, 5.0, -np.inf])), 1.0, "auc with infinities")
    thresholds = submission.roc_curve(labels, np.array([np.inf, 0.0, 0.0, -np.inf]))[2]
    equal(thresholds, np.array([np.inf, np.inf, 0.0, -np.inf]), "thresholds with infinities")
    small = np.array([200, 0, 3, 100], dtype=np.uint8)
    close(submission.auc(labels, small), 0.75, "auc of uint8 scores")
    equal(
        submission.roc_curve(labels, small)[2], np.array([np.inf, 200.0, 100.0, 3.0, 0.0]), "uint8 thresholds"
    )
    near = np.array([1.0 + 2**-52, 1.0, 1.0, 1.0 - 2**-53])
    close(submission.auc(labels, near), 0.875, "auc of neighbouring floats")


def test_ends_at_exactly_one(submission):
    """Sums of weights that round must still end at 1, and never fall."""
    rng = np.random.default_rng(22)
    labels, scores = rng.integers(0, 2, 5000), rng.normal(size=5000)
    fpr, tpr, _ = submission.roc_curve(labels, scores, rng.uniform(0, 0.1, 5000))
    for rates, name in ((fpr, "fpr"), (tpr, "tpr")):
        equal((float(rates[0]), float(rates[-1])), (0.0, 1.0), f"first and last {name}")
        assert (np.diff(rates) >= 0).all(), f"{name}: expected it never to fall, got {np.diff(rates).min()}"


def test_many_rows_and_arguments_unchanged(submission):
    """200,000 rows whose area is known: positives are uniform on 0 to 1, negatives on 0 to 0.5."""
    scores = np.concatenate((np.linspace(0, 1, 100_000), np.linspace(0, 0.5, 100_000)))
    labels, weights = np.repeat([1, 0], 100_000), np.ones(200_000)
    before = labels.copy(), scores.copy(), weights.copy()
    got = submission.auc(labels, scores, weights)
    assert isinstance(got, float), f"auc: expected a float, got {type(got).__name__}"
    close(got, 0.75, "auc", rtol=1e-4)
    names = ("labels", "scores", "weights")
    for now, kept, name in zip((labels, scores, weights), before, names, strict=True):
        unchanged(now, kept, name)


def growth_input(n):
    """n rows with different scores."""
    rng = np.random.default_rng(23)
    return np.arange(n) % 2, rng.normal(size=n)
