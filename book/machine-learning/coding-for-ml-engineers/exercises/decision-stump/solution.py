"""The best split of one feature by weighted Gini impurity (Breiman et al. 1984)."""

import numpy as np

CLOSE = 1e-12  # impurities that differ by less are equal


def _gini(sides: np.ndarray) -> np.ndarray:  # class weights [..., C] -> [...]
    """Gini impurity times the weight of the side; 0 where there is no weight."""
    total = sides.sum(axis=-1)
    return total - (sides**2).sum(axis=-1) / np.where(total > 0, total, 1.0)


def fit_stump(
    x: np.ndarray,  # [N, D]
    y: np.ndarray,  # [N] classes from 0
    weights: np.ndarray | None = None,  # [N]
) -> tuple[int, float, float, int, int]:  # feature, threshold, impurity, left class, right class
    """Time O(D N (log N + C)). Raises ValueError for bad weights, negative classes, lengths that differ."""
    counts = np.ones(len(x)) if weights is None else weights.astype(np.float64)
    if not len(x) == len(y) == len(counts):
        raise ValueError(f"Lengths differ: {len(x)} rows, {len(y)} classes, {len(counts)} weights.")
    if (y < 0).any() or (counts < 0).any() or counts.sum() == 0:
        raise ValueError("Expected classes and weights of at least 0, and some weight.")
    table = (y[:, None] == np.arange(y.max() + 1)) * (counts / counts.sum())[:, None]  # [N, C]
    totals = table.sum(axis=0)
    best = (-1, float("nan"), float(_gini(totals)), int(totals.argmax()), int(totals.argmax()))
    for feature in range(x.shape[1]):
        order = np.argsort(x[:, feature], kind="stable")
        values = x[order, feature].astype(np.float64)
        steps = np.flatnonzero(values[1:] > values[:-1])  # a split after each of these rows
        if not len(steps):
            continue
        left = table[order].cumsum(axis=0)[steps]  # [S, C]
        right = table[order[::-1]].cumsum(axis=0)[::-1][steps + 1]  # summed by itself: exact where it is 0
        impurity = _gini(left) + _gini(right)
        at = int(np.flatnonzero(impurity < impurity.min() + CLOSE)[0])
        if best[0] >= 0 and impurity[at] > best[2] - CLOSE:
            continue
        low, high = values[steps[at]], values[steps[at] + 1]
        middle = low / 2 + high / 2  # neither the sum nor the difference can overflow
        threshold = float(middle if middle < high else low)
        best = (feature, threshold, float(impurity[at]), int(left[at].argmax()), int(right[at].argmax()))
    return best
