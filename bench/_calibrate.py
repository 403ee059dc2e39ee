"""A logistic model by Newton's method, scored on questions left out, and the thresholds that follow.

Ridge-penalised so that few cases make no wild weights; the signals are standardised for it, and the weights
written for plain signals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
FOLDS = 5
RIDGE = 1.0


@dataclass(frozen=True, slots=True)
class Fit:
    bias: float
    weights: Numbers

    def of(self, x: Numbers) -> Numbers:
        z = np.clip(self.bias + x @ self.weights, -40, 40)
        chances: Numbers = 1 / (1 + np.exp(-z))
        return chances


def fit(x: Numbers, y: Numbers, ridge: float = RIDGE, signs: Sequence[int] | None = None) -> Fit:
    """x [N, F], y [N] of 0 and 1. signs: of weights that are known, +1 or -1; a signal whose weight comes out
    with the other sign is left out (0: free)."""
    keep = np.ones(x.shape[1], bool)
    while True:
        found = _newton(x[:, keep], y, ridge)
        weights = np.zeros(x.shape[1])
        weights[keep] = found.weights
        if signs is None:
            return Fit(found.bias, weights)
        wrong = (np.array(signs) * weights < 0) & keep
        if not wrong.any():
            return Fit(found.bias, weights)
        keep &= ~wrong


def _newton(x: Numbers, y: Numbers, ridge: float) -> Fit:
    mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    z = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    w = np.zeros(z.shape[1])
    penalty = np.full(z.shape[1], ridge)
    penalty[-1] = 1e-6
    for _ in range(60):
        p = 1 / (1 + np.exp(-np.clip(z @ w, -40, 40)))
        gradient = z.T @ (p - y) + penalty * w
        curve = (z * (p * (1 - p))[:, None]).T @ z + np.diag(penalty)
        step = np.linalg.solve(curve, gradient)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    weights = w[:-1] / spread
    return Fit(float(w[-1] - (weights * mean).sum()), weights)


def left_out(
    x: Numbers, y: Numbers, groups: Sequence[str], ridge: float = RIDGE, signs: Sequence[int] | None = None
) -> Numbers:
    """Probabilities of each row by a model that saw no row of its question."""
    folds = np.array([int(sha256(f"fold {each}".encode()).hexdigest(), 16) % FOLDS for each in groups])
    out = np.zeros(len(y))
    for fold in range(FOLDS):
        held = folds == fold
        if held.any():
            out[held] = fit(x[~held], y[~held], ridge, signs).of(x[held])
    return out


def thresholds(p: Numbers, y: Numbers, wrong_yes: float, missed: float) -> tuple[float, float]:
    """(yes, no): the least probability from which at most `wrong_yes` of what is not met is called met, and
    the greatest up to which at most `missed` of what is met is called not met; no <= yes."""
    yes = float(np.quantile(p[y < 0.5], 1 - wrong_yes, method="higher")) + 1e-6
    no = float(np.quantile(p[y > 0.5], missed, method="lower"))
    return yes, min(no, yes - 1e-6)


def described(p: Numbers, y: Numbers, yes: float, no: float) -> dict[str, Any]:
    """What thresholds do, and how well calibrated the probabilities are (expected calibration error, ten bins
    of equal size)."""
    met, unmet = p[y > 0.5], p[y < 0.5]
    order = np.argsort(p)
    bins = np.array_split(order, 10)
    ece = sum(len(b) * abs(p[b].mean() - y[b].mean()) for b in bins if len(b)) / len(p)
    ranks = np.argsort(np.argsort(p)) + 1
    auc = (ranks[y > 0.5].sum() - len(met) * (len(met) + 1) / 2) / max(1, len(met) * len(unmet))
    return {
        "met": len(met),
        "not met": len(unmet),
        "auc": round(float(auc), 4),
        "calibration error": round(float(ece), 4),
        "yes of met": round(float((met >= yes).mean()), 4),
        "unclear of met": round(float(((met < yes) & (met > no)).mean()), 4),
        "yes of not met": round(float((unmet >= yes).mean()), 4),
        "unclear of not met": round(float(((unmet < yes) & (unmet > no)).mean()), 4),
    }
