"""How well scores agree with people's: Pearson, quadratic kappa, RMSE, and the mean error by band.

Correlation alone hides the fault that matters: a grader that gives every answer the average is wrong by most
where an answer is poor, and correlates with nothing there. So each band of the human score has its own line.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Band:
    """Answers that people gave low <= score < high (the last one: <= high). mean_error: of given minus human,
    in points; absolute: mean of its absolute value."""

    low: float
    high: float
    answers: int
    mean_error: float
    absolute: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """n answers. r: Pearson. kappa: quadratic weights, on whole points. rmse: in points."""

    n: int
    r: float
    kappa: float
    rmse: float
    bands: tuple[Band, ...]
    poor: Band  # under two fifths of the scale

    def asdict(self) -> dict[str, Any]:
        return asdict(self)


def agreement(given: Sequence[float], human: Sequence[float], low: float, high: float) -> Agreement:
    """Of scores on the scale low..high. Raises ValueError where there are none, or not as many of each."""
    one, two = np.asarray(given, float), np.asarray(human, float)
    if one.shape != two.shape or not one.size:
        raise ValueError(f"expected as many scores as human ones, and some, got {one.shape} and {two.shape}")
    step = (high - low) / 5
    edges = [low + step * place for place in range(6)]
    return Agreement(
        n=len(one),
        r=pearson(one, two),
        kappa=quadratic_kappa(points(one, low, high), points(two, low, high)),
        rmse=float(np.sqrt(np.mean((one - two) ** 2))),
        bands=tuple(_band(one, two, edges[place], edges[place + 1], place == 4) for place in range(5)),
        poor=_band(one, two, low, edges[2], False),
    )


def pearson(one: Numbers, two: Numbers) -> float:
    """0 where one of them never varies, which says nothing of the other."""
    if one.std() == 0 or two.std() == 0:
        return 0.0
    return float(np.corrcoef(one, two)[0, 1])


def points(scores: Numbers, low: float, high: float) -> NDArray[np.int64]:
    """Whole points, halves up: of a scale to 5 0..5; a scale that ends at 1 is read in fifths."""
    scale = 1.0 if high - low >= 2 else 5 / (high - low)
    top = round((high - low) * scale)
    return np.clip(np.floor((scores - low) * scale + 0.5), 0, top).astype(np.int64)


def quadratic_kappa(one: NDArray[np.int64], two: NDArray[np.int64]) -> float:
    """Cohen 1968, "Weighted kappa", with weights (i - j)^2: 1 - observed over expected disagreement."""
    size = int(max(one.max(), two.max())) + 1
    seen = np.zeros((size, size))
    np.add.at(seen, (one, two), 1)
    place = np.arange(size)
    weights = (place[:, None] - place[None, :]) ** 2
    chance = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / len(one)
    expected = float((weights * chance).sum())
    return 1.0 - float((weights * seen).sum()) / expected if expected else 0.0


def _band(one: Numbers, two: Numbers, low: float, high: float, last: bool) -> Band:
    inside = (two >= low) & ((two <= high) if last else (two < high))
    if not inside.any():
        return Band(low, high, 0, 0.0, 0.0)
    error = one[inside] - two[inside]
    return Band(low, high, int(inside.sum()), float(error.mean()), float(np.abs(error).mean()))
