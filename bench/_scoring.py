"""From what a grader sees of an answer to a score, fitted on other questions than those it is tried on.

Ten folds, a question's answers all in one. Two ways to a score: ridge regression, which makes the squared
error small and gives every answer about the average; and the same order of answers given the spread that
human scores have (equipercentile equating: Kolen and Brennan 2014, "Test Equating, Scaling, and Linking",
section 2.5), which tells poor answers for what they are at the price of a larger squared error.

Penalties are chosen inside each fold, by folds of the questions that are left there, and the order's places
are those of answers to questions left out likewise: nothing is chosen by what it is tried on.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
FOLDS = 10
INNER = 5
PENALTIES = (10.0, 300.0, 3000.0, 10000.0)  # of a ridge, on standardised features
SPACE = 101  # quantiles


def folds(asked: Sequence[str], seed: int = 0, count: int = FOLDS) -> list[NDArray[np.int64]]:
    """Places of the answers left out in each fold. Raises ValueError for a single question."""
    names = sorted(set(asked))
    if len(names) < 2:
        raise ValueError("expected answers to at least two questions, to leave one out")
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {names[place]: turn % min(count, len(names)) for turn, place in enumerate(order)}
    owner = np.array([fold[each] for each in asked])
    return [np.flatnonzero(owner == each) for each in range(owner.max() + 1)]


def left_out(
    blocks: Sequence[Numbers], human: Numbers, asked: Sequence[str], low: float, high: float, seed: int = 0
) -> tuple[Numbers, Numbers]:
    """blocks of features [N, F], human [N] -> (ridge [N], equated [N]): scores of questions left out.

    Each block has a penalty of its own. Raises ValueError for fewer than three questions.
    """
    if len(set(asked)) < 3:
        raise ValueError("expected answers to at least three questions, to leave out two")
    features = np.column_stack(blocks)
    widths = [block.shape[1] for block in blocks]
    plain, equated = np.zeros(len(human)), np.zeros(len(human))
    for out in folds(asked, seed):
        seen = np.setdiff1d(np.arange(len(human)), out)
        inside = folds([asked[place] for place in seen], seed, INNER)
        penalties, scored = _chosen(features[seen], human[seen], inside, widths)
        tried = Ridge(features[seen], human[seen], penalties)(features[out])
        plain[out] = np.clip(tried, low, high)
        equated[out] = equate(scored, human[seen], tried)
    return plain, equated


def _chosen(
    features: Numbers, human: Numbers, parts: Sequence[NDArray[np.int64]], widths: Sequence[int]
) -> tuple[Numbers, Numbers]:
    """(penalty of each feature [F], scores of all answers, each by a fit without its question [N])."""
    fits = []
    for out in parts:
        seen = np.setdiff1d(np.arange(len(human)), out)
        fits.append((out, Ridge.moments(features[seen], human[seen])))
    best: tuple[float, Numbers, Numbers] | None = None
    for chosen in product(PENALTIES, repeat=len(widths)):
        penalties = np.repeat(chosen, widths)
        scored = np.zeros(len(human))
        for out, moments in fits:
            scored[out] = Ridge.of(moments, penalties)(features[out])
        error = float(np.mean((scored - human) ** 2))
        if best is None or error < best[0]:
            best = error, penalties, scored
    assert best is not None, "there are penalties to try"
    return best[1], best[2]


class Ridge:
    """Linear, on standardised features, a penalty on each and none on the constant (Hoerl, Kennard 1970)."""

    def __init__(self, features: Numbers, human: Numbers, penalties: Numbers) -> None:
        self._solve(self.moments(features, human), penalties)

    @staticmethod
    def moments(features: Numbers, human: Numbers) -> tuple[Numbers, Numbers, float, Numbers, Numbers]:
        """All that a fit needs of its answers, whatever the penalties."""
        middle, spread = features.mean(axis=0), features.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        x = (features - middle) / spread
        constant = float(human.mean())
        return middle, spread, constant, x.T @ x, x.T @ (human - constant)

    @classmethod
    def of(cls, moments: tuple[Numbers, Numbers, float, Numbers, Numbers], penalties: Numbers) -> "Ridge":
        made = cls.__new__(cls)
        made._solve(moments, penalties)
        return made

    def _solve(self, moments: tuple[Numbers, Numbers, float, Numbers, Numbers], penalties: Numbers) -> None:
        self.middle, self.spread, self.constant, gram, right = moments
        self.weights = np.linalg.solve(gram + np.diag(penalties), right)

    def __call__(self, features: Numbers) -> Numbers:
        scores: Numbers = (features - self.middle) / self.spread @ self.weights + self.constant
        return scores


def equate(scored: Numbers, human: Numbers, tried: Numbers) -> Numbers:
    """The score that people gave at the same place of the order. scored, human: of the answers seen."""
    shares = np.linspace(0, 1, SPACE)
    places = np.interp(tried, np.quantile(scored, shares), shares)
    return np.asarray(np.interp(places, shares, np.quantile(human, shares)), float)
