"""Classic models and metrics where people slip: starts, leaks, ties, separable data.

Book: machine-learning/coding-for-ml-engineers
"""

import numpy as np


def blobs(seed: int, clusters: int = 8) -> np.ndarray:
    """[50 * clusters, 2]: round clouds of standard deviation 1, centres drawn in a square of 40."""
    chance = np.random.default_rng(seed)
    centres = chance.uniform(-20, 20, (clusters, 2))
    return np.asarray(np.repeat(centres, 50, axis=0) + chance.normal(size=(50 * clusters, 2)))


def lloyd(points: np.ndarray, centres: np.ndarray, rounds: int = 50) -> float:
    """Sum of squared distances after Lloyd's rounds. points [N, D], centres [K, D]"""
    for _ in range(rounds):
        near = ((points[:, None] - centres[None]) ** 2).sum(-1).argmin(1)
        moved = np.stack(
            [points[near == k].mean(0) if (near == k).any() else centres[k] for k in range(len(centres))]
        )
        if np.allclose(moved, centres):
            break
        centres = moved
    return float(((points[:, None] - centres[None]) ** 2).sum(-1).min(1).sum())


def spread(points: np.ndarray, clusters: int, chance: np.random.Generator) -> np.ndarray:
    """k-means++ (Arthur & Vassilvitskii 2007): each next centre by its squared distance to those there."""
    centres = [points[chance.integers(len(points))]]
    while len(centres) < clusters:
        far = ((points[:, None] - np.array(centres)[None]) ** 2).sum(-1).min(1)
        centres.append(points[chance.choice(len(points), p=far / far.sum())])
    return np.array(centres)


def _misses(plus: bool, small: bool) -> list[float]:
    shares = []
    for seed in range(5):
        points, chance = blobs(seed), np.random.default_rng(seed)
        starts = 10 if small else 40
        found = []
        for _ in range(starts):
            first = (
                spread(points, 8, chance) if plus else points[chance.choice(len(points), 8, replace=False)]
            )
            found.append(lloyd(points, first))
        best = min(min(found), lloyd(points, points[::50].copy()))
        shares.append(float(np.mean([value > 1.2 * best for value in found])))
    return shares


def random_start_misses(small: bool = True) -> list[float]:
    """Share of k-means runs from random points that end a fifth or more above the best known sum: eight
    round clouds. One value a draw of the clouds."""
    return _misses(False, small)


def spread_start_misses(small: bool = True) -> list[float]:
    """The same from k-means++."""
    return _misses(True, small)


def _nearest_centroid(features: np.ndarray, labels: np.ndarray, new: np.ndarray) -> np.ndarray:
    centres = np.stack([features[labels == k].mean(0) for k in (0, 1)])
    return np.asarray(((new[:, None] - centres[None]) ** 2).sum(-1).argmin(1))


def _noise_accuracy(leak: bool, small: bool) -> list[float]:
    """Five folds over 50 rows of 2,000 columns of noise, labels by coin; the 20 columns that differ most
    between the labels are kept, chosen before the folds are made (leak) or inside of each."""
    out = []
    for seed in range(5 if small else 20):
        chance = np.random.default_rng(seed)
        features, labels = chance.normal(size=(50, 2000)), np.repeat([0, 1], 25)
        order = chance.permutation(50)
        features, labels = features[order], labels[order]

        def best(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return np.argsort(-np.abs(x[y == 1].mean(0) - x[y == 0].mean(0)))[:20]

        right = 0
        chosen = best(features, labels)
        for fold in range(5):
            held = np.arange(50) % 5 == fold
            columns = chosen if leak else best(features[~held], labels[~held])
            guess = _nearest_centroid(features[~held][:, columns], labels[~held], features[held][:, columns])
            right += int((guess == labels[held]).sum())
        out.append(right / 50)
    return out


def leaky_accuracy(small: bool = True) -> list[float]:
    """Accuracy on pure noise, five folds, columns chosen with all labels in view."""
    return _noise_accuracy(True, small)


def honest_accuracy(small: bool = True) -> list[float]:
    """The same with the choice inside of each fold."""
    return _noise_accuracy(False, small)


def auc_by_sorting(scores: np.ndarray, labels: np.ndarray) -> float:
    """Trapezoids over one point a row in sorted order: what tied scores get depends on the order of rows."""
    order = np.argsort(-scores, kind="stable")
    hits = labels[order]
    tpr, fpr = np.cumsum(hits) / hits.sum(), np.cumsum(1 - hits) / (1 - hits).sum()
    x, y = np.r_[0, fpr], np.r_[0, tpr]
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def auc_by_pairs(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of pairs in the right order, a tie counts half (Mann and Whitney)."""
    gaps = scores[labels == 1][:, None] - scores[labels == 0][None]
    return float((gaps > 0).mean() + (gaps == 0).mean() / 2)


def tied_auc_range(small: bool = True) -> list[float]:
    """By how much the AUC of one-point-a-row moves when only the order of the rows changes: scores rounded
    to one digit, 200 rows, positives first against negatives first."""
    out = []
    for seed in range(5):
        chance = np.random.default_rng(seed)
        labels = np.repeat([1, 0], 100)
        scores = np.round(1 / (1 + np.exp(-chance.normal(labels, 1.0))), 1)
        out.append(auc_by_sorting(scores, labels) - auc_by_sorting(scores[::-1], labels[::-1]))
        assert abs(auc_by_pairs(scores, labels) - auc_by_pairs(scores[::-1], labels[::-1])) < 1e-12
    return out


def separable_growth(small: bool = True) -> float:
    """Norm of logistic regression's weights after 10,000 steps of plain descent over that after 1,000, on
    data that a line separates: there is no best weight, only a direction (Soudry et al. 2018)."""
    chance = np.random.default_rng(0)
    features = np.concatenate((chance.normal(3, 1, (50, 2)), chance.normal(-3, 1, (50, 2))))
    signs = np.repeat([1.0, -1.0], 50)
    assert (features.sum(1) * signs > 0).all()
    weights, norms = np.zeros(2), {}
    for step in range(1, 10_001):
        margin = signs * (features @ weights)
        weights += 0.1 * ((signs / (1 + np.exp(margin)))[:, None] * features).mean(0)
        if step in (1000, 10_000):
            norms[step] = float(np.linalg.norm(weights))
    return norms[10_000] / norms[1000]


def _trained(cleared: bool, seed: int) -> tuple[float, float]:
    """(first loss, last loss) of logistic regression, 500 steps at a rate of 0.05 on 200 rows that no line
    separates; the gradients of all steps add up unless they are cleared."""
    chance = np.random.default_rng(seed)
    features = chance.normal(size=(200, 10))
    labels = (features @ chance.normal(size=10) + chance.normal(scale=2, size=200) > 0).astype(float)
    weights, gradient, losses = np.zeros(10), np.zeros(10), []
    for _ in range(500):
        scores = features @ weights
        losses.append(float((np.logaddexp(0, scores) - labels * scores).mean()))
        fresh = features.T @ (1 / (1 + np.exp(-scores)) - labels) / 200
        gradient = fresh if cleared else gradient + fresh
        weights = weights - 0.05 * gradient
    return losses[0], float(np.mean(losses[-50:]))


def uncleared(small: bool = True) -> list[float]:
    """The loss, on average over the last 50 of 500 steps, of a loop that never clears its gradients over that
    of one that does; both have fallen from where they began. One value a draw."""
    found = []
    for seed in range(5 if small else 20):
        (start, wrong), (_, right) = _trained(False, seed), _trained(True, seed)
        assert wrong < start
        found.append(wrong / right)
    return found
