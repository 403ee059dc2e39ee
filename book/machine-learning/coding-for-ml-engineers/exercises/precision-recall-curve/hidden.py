"""Hidden tests: thresholds by definition, scikit-learn, weights as copies, ties of F, odd scores, size."""

import numpy as np

from handbook.practice.checks import close, equal, unchanged


def table(seed, count=30, levels=8):
    """Labels and scores that tie often."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    labels[:2] = 0, 1
    return labels, np.round(rng.integers(0, levels, count) / levels + 0.3 * labels, 3)


def test_every_threshold_by_definition(submission):
    """Each entry is what calling score >= threshold gives, with weights and without."""
    for seed in range(12):
        labels, scores = table(seed)
        expected = np.array(sorted(set(scores.tolist()), reverse=True))
        for weights in (None, np.random.default_rng(seed).uniform(0.1, 3, 30)):
            precision, recall, thresholds = submission.precision_recall(labels, scores, weights)
            equal(thresholds, expected, f"table {seed}: thresholds")
            w = np.ones(30) if weights is None else weights
            hits = np.array([w[(scores >= t) & (labels == 1)].sum() for t in expected])
            called = np.array([w[scores >= t].sum() for t in expected])
            close(precision, hits / called, f"table {seed}: precision")
            close(recall, hits / w[labels == 1].sum(), f"table {seed}: recall")


def test_best_threshold_by_definition(submission):
    """The highest F-beta of all thresholds, for betas of 0.3 to 4."""
    for seed in range(12):
        labels, scores = table(seed)
        for beta in (0.3, 1.0, 4.0):
            found = []
            for t in sorted(set(scores.tolist()), reverse=True):
                hits = int(((scores >= t) & (labels == 1)).sum())
                wrong = int(((scores >= t) & (labels == 0)).sum())
                left = int(((scores < t) & (labels == 1)).sum())
                found.append(((1 + beta**2) * hits / ((1 + beta**2) * hits + beta**2 * left + wrong), t))
            best = max(value for value, _ in found)
            expected = next((t, value) for value, t in found if value > best - 1e-12)
            got = submission.best_threshold(labels, scores, beta)
            close(got, expected, f"table {seed}, beta {beta}")


SKLEARN = 0.7331792776101966


def test_scikit_learn_agrees(submission):
    """scikit-learn 1.9.1, average_precision_score on table(3), weighted."""
    labels, scores = table(3)
    got = submission.average_precision(labels, scores, 1 + np.arange(30) % 4)
    close(got, SKLEARN, "average precision", rtol=1e-9, peer="scikit-learn 1.9.1")


def test_weights_are_copies(submission):
    """Weight 3 is three rows; scaling all weights changes nothing."""
    labels, scores = table(20)
    weights = np.arange(30) % 4 + (np.arange(30) < 2)
    repeated = np.repeat(labels, weights), np.repeat(scores, weights)
    expected = submission.average_precision(*repeated), submission.best_threshold(*repeated)
    for scale in (1.0, 1e-9, 1e9):
        got = (
            submission.average_precision(labels, scores, weights * scale),
            submission.best_threshold(labels, scores, 1.0, weights * scale),
        )
        close(got, expected, f"weights times {scale:g}")


def test_nothing_called_has_weight(submission):
    """The first rows weigh nothing: precision 1, recall 0, and F is 0 without a warning."""
    labels, scores, weights = np.array([0, 1, 1]), np.array([3.0, 2.0, 1.0]), np.array([0.0, 0.0, 2.0])
    precision, recall, thresholds = submission.precision_recall(labels, scores, weights)
    close(precision, np.array([1.0, 1.0, 1.0]), "precision")
    close(recall, np.array([0.0, 0.0, 1.0]), "recall")
    equal(thresholds, np.array([3.0, 2.0, 1.0]), "thresholds")
    precision = submission.precision_recall(np.array([0, 1]), scores[:2], np.array([0.0, 0.5]))[0]
    close(precision, np.array([1.0, 1.0]), "precision of two rows, the first without weight")
    close(submission.best_threshold(labels, scores, 1.0, weights), (1.0, 1.0), "best threshold")


def test_false_alarms_first(submission):
    """Precision and recall of 0 at the first threshold: F is 0 there, not NaN."""
    labels, scores = np.array([0, 0, 1]), np.array([3.0, 2.0, 1.0])
    close(submission.best_threshold(labels, scores), (1.0, 0.5), "best threshold")
    precision, recall, _ = submission.precision_recall(labels, scores)
    close((precision, recall), (np.array([0.0, 0.0, 1 / 3]), np.array([0.0, 0.0, 1.0])), "curve")


def test_ties_of_f(submission):
    """Two thresholds with the same F: the higher; and rounding must not decide."""
    got = submission.best_threshold(np.array([1, 0, 0, 1]), np.array([4.0, 3.0, 2.0, 1.0]))
    close(got, (4.0, 2 / 3), "F of 2/3 at 4 and at 1")
    labels = np.array([1] + [0] * 12 + [1] * 3)  # F = 2/5 at the first and at the last score
    got = submission.best_threshold(labels, -np.arange(16.0))
    close(got, (0.0, 0.4), "F of 2/5 at 0 and at -15")


def test_no_negatives(submission):
    """All rows positive: precision 1 everywhere."""
    precision, recall, _ = submission.precision_recall(np.ones(3, dtype=int), np.array([1.0, 2.0, 2.0]))
    close((precision, recall), (np.ones(2), np.array([2 / 3, 1.0])), "curve without negatives")
    close(submission.average_precision(np.array([True]), np.array([0.0])), 1.0, "one positive")


def test_odd_scores(submission):
    """Infinities, unsigned integers, neighbouring floats, shuffled rows."""
    labels = np.array([True, False, True, False])
    small = np.array([200, 0, 3, 100], dtype=np.uint8)
    close(submission.average_precision(labels, small), 5 / 6, "uint8 scores")
    equal(
        submission.precision_recall(labels, small)[2], np.array([200.0, 100.0, 3.0, 0.0]), "uint8 thresholds"
    )
    close(submission.average_precision(labels, np.array([np.inf, -1e9, 5.0, -np.inf])), 1.0, "infinities")
    near = np.array([1.0 + 2**-52, 1.0, 1.0, 1.0 - 2**-53])
    close(submission.average_precision(labels, near), 5 / 6, "neighbouring floats")
    labels, scores = table(21)
    order = np.random.default_rng(21).permutation(30)
    expected = submission.precision_recall(labels, scores)
    close(submission.precision_recall(labels[order], scores[order]), expected, "shuffled rows")


def test_many_rows_and_arguments_unchanged(submission):
    """200,000 rows, two in a thousand positive, whose scores are twice as high on average."""
    rng = np.random.default_rng(22)
    labels = (np.arange(200_000) % 500 == 0).astype(np.int8)
    scores, weights = rng.uniform(0, 1 + labels, 200_000), rng.uniform(0, 0.1, 200_000)
    before = labels.copy(), scores.copy(), weights.copy()
    precision, recall, _ = submission.precision_recall(labels, scores, weights)
    equal(float(recall[-1]), 1.0, "last recall")
    assert (np.diff(recall) >= 0).all(), "recall: expected it never to fall, got a falling one"
    share = float(weights[labels == 1].sum() / weights.sum())
    close(float(precision[-1]), share, "last precision, the share of positives", rtol=1e-9)
    got = submission.average_precision(labels, scores)
    assert 0.42 < got < 0.6, f"average precision: expected about one half, got {got}"
    threshold, value = submission.best_threshold(labels, scores)
    assert isinstance(got, float), f"average precision: expected a float, got {type(got).__name__}"
    assert 0.99 < threshold < 1.01, f"best threshold: expected about 1, got {threshold}"
    assert 0.55 < value < 0.75, f"F at the best threshold: expected about 2/3, got {value}"
    names = ("labels", "scores", "weights")
    for now, kept, name in zip((labels, scores, weights), before, names, strict=True):
        unchanged(now, kept, name)


def growth_input(n):
    """n rows with different scores."""
    rng = np.random.default_rng(23)
    return np.arange(n) % 2, rng.normal(size=n)
