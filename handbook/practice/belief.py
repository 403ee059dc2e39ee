"""What answers say about sections that nobody asked about: a normal distribution over the concept graph.

Each section s has an ability theta_s on a logistic scale: of a question of difficulty b, a share of
sigmoid(theta_s - b) of the rubric's weight is expected (the Rasch model: Rasch 1960; van der Linden and
Glas 2000 for testing that adapts). Before any answer theta is normal with mean 0 and covariance

    GENERAL^2 (all ones)  +  CHAPTER^2 [same chapter]  +  SECTION^2 (I + L)^-1, scaled to a diagonal of ones

where L is the weighted Laplacian of the graph, so that sections that rest on one another move together
(Smola and Kondor 2003, "Kernels and regularization on graphs", sec. 3: the regularized Laplacian). An answer
is `strength` trials of which a share `score` succeeded; its likelihood hangs on one theta alone, so the new
mean and variance of that one are integrals over a line, and all others follow by regression (assumed density
filtering: Minka 2001, sec. 3.1).

The spreads and weights are assumptions, not fitted to people; `handbook bench diagnostic` says how well they
do on learners who were simulated by another model.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from handbook.practice.graph import Graph

Floats = NDArray[np.float64]

GENERAL, CHAPTER, SECTION = 0.6, 0.9, 1.2  # standard deviations, in logits
RESTS_ON, RELATED = 3.0, 0.3  # weights of edges
_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class Belief:
    """Mean and covariance over `ids`. mean: [N]; covariance: [N, N]; both in logits."""

    def __init__(self, graph: Graph, ids: Sequence[str], *, edges: bool = True) -> None:
        self.ids = tuple(ids)
        self.index = {id: number for number, id in enumerate(self.ids)}
        self.mean: Floats = np.zeros(len(self.ids))
        self.covariance = prior(graph, self.ids, edges=edges)

    def answered(self, id: str, difficulty: float, score: float, strength: float) -> None:
        """Take in an answer. score: 0 to 1; strength: how many trials it is worth."""
        s = self.index[id]
        mean, variance = float(self.mean[s]), float(self.covariance[s, s])
        theta = mean + sqrt(variance) * _POINTS
        log = strength * (score * _log_sigmoid(theta - difficulty))
        log += strength * (1 - score) * _log_sigmoid(difficulty - theta)
        weights = _WEIGHTS * np.exp(log - log.max())
        weights /= weights.sum()
        new_mean = float(weights @ theta)
        new_variance = max(float(weights @ (theta - new_mean) ** 2), 1e-6)
        gain = self.covariance[:, s] / variance
        self.mean = self.mean + gain * (new_mean - mean)
        self.covariance = self.covariance + np.outer(gain, gain) * (new_variance - variance)

    def sd(self) -> Floats:
        """[N], in logits."""
        found: Floats = np.sqrt(np.maximum(np.diag(self.covariance), 1e-9))
        return found

    def chance(self, threshold: float) -> Floats:
        """[N]: how probable it is that theta is above a threshold (in logits)."""
        return _normal_cdf((self.mean - threshold) / self.sd())

    def within(self, id: str, difficulty: float, share: float = 0.8) -> tuple[float, float]:
        """The middle `share` of the expected score on questions of that difficulty, 0 to 1."""
        s = self.index[id]
        return _interval(float(self.mean[s]), float(self.sd()[s]), difficulty, share)

    def among(
        self, ids: Sequence[str], weights: Sequence[float], difficulty: float, share: float = 0.8
    ) -> tuple[float, float]:
        """The same for a question that is drawn from several sections, by their weights."""
        rows = [self.index[id] for id in ids]
        w = np.asarray(weights, dtype=np.float64) / max(sum(weights), 1e-12)
        variance = float(w @ self.covariance[np.ix_(rows, rows)] @ w)
        return _interval(float(w @ self.mean[rows]), sqrt(max(variance, 1e-9)), difficulty, share)

    def gains(self, rows: NDArray[np.intp], difficulties: Floats, strength: float, worth: Floats) -> Floats:
        """[Q]: how much one answer is expected to shrink the variances, weighted by `worth` [N].

        rows: [Q], index of each question's section. Fisher's information of the logistic model at the mean,
        flattened for the spread around it (MacKay 1992, eq. 10).
        """
        variance = np.diag(self.covariance)[rows]
        flat = 1 / np.sqrt(1 + np.pi * variance / 8)
        p = 1 / (1 + np.exp(-(self.mean[rows] - difficulties) * flat))
        information = strength * p * (1 - p)
        shrink = information / (1 + information * variance)
        reach: Floats = (self.covariance[:, rows] ** 2 * worth[:, None]).sum(axis=0)
        found: Floats = shrink * reach
        return found


@lru_cache(maxsize=8)
def prior(graph: Graph, ids: tuple[str, ...], *, edges: bool = True) -> Floats:
    """[N, N], not to be changed. edges: whether the graph counts, or chapters alone."""
    n = len(ids)
    index = {id: number for number, id in enumerate(ids)}
    place = {slug: number for number, slug in enumerate(graph.chapters)}
    chapters = np.array([place[graph.concepts[id].chapter] for id in ids])
    smooth = np.eye(n)
    if edges and n:
        weights = np.zeros((n, n))
        for id in ids:
            for other in graph.concepts[id].needs:
                if other in index:
                    weights[index[id], index[other]] = RESTS_ON
        for one, two in graph.related:
            if one in index and two in index:
                weights[index[one], index[two]] = max(weights[index[one], index[two]], RELATED)
        weights = np.maximum(weights, weights.T)
        laplacian = np.diag(weights.sum(axis=1)) - weights
        inverse = np.linalg.inv(np.eye(n) + laplacian)
        scale = 1 / np.sqrt(np.diag(inverse))
        smooth = inverse * scale[:, None] * scale[None, :]
    same = (chapters[:, None] == chapters[None, :]).astype(np.float64)
    found: Floats = GENERAL**2 * np.ones((n, n)) + CHAPTER**2 * same + SECTION**2 * smooth
    found.setflags(write=False)
    return found


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _interval(mean: float, sd: float, difficulty: float, share: float) -> tuple[float, float]:
    from statistics import NormalDist

    reach = NormalDist().inv_cdf(0.5 + share / 2) * sd
    return sigmoid(mean - reach - difficulty), sigmoid(mean + reach - difficulty)


def _log_sigmoid(x: Floats) -> Floats:
    found: Floats = -np.logaddexp(0.0, -x)
    return found


def _normal_cdf(x: Floats) -> Floats:
    """Abramowitz and Stegun 1964, 26.2.17: off by less than 1e-7."""
    t = 1 / (1 + 0.2316419 * np.abs(x))
    poly = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * poly
    found: Floats = np.where(x >= 0, 1 - tail, tail)
    return found
