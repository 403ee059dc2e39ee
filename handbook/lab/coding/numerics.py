"""Where floating point bites in interview code: overflow, cancellation, sums that stall, gradient checks.

NumPy throughout; the bounds of formats follow from IEEE 754 and are found here by trying.

Book: machine-learning/coding-for-ml-engineers
"""

from typing import Any

import numpy as np


def overflow_at(kind: Any) -> int:
    """The smallest whole number whose exponential is infinite in a floating-point type."""
    with np.errstate(over="ignore"):
        return next(n for n in range(1, 1000) if np.isinf(np.exp(np.asarray(n, dtype=kind))))


def overflow_fp32(small: bool = True) -> float:
    return overflow_at(np.float32)


def overflow_fp16(small: bool = True) -> float:
    return overflow_at(np.float16)


def softmax(logits: np.ndarray) -> np.ndarray:
    """As it is written on a whiteboard, without a shift. [..., V] -> [..., V]"""
    weights = np.exp(logits)
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def lost_logs(small: bool = True) -> list[float]:
    """Share of finite log-probabilities that log(softmax(x)) makes minus infinity, even with the largest
    logit taken off: float32, 1,000 logits of standard deviation 30. One value a draw."""
    shares = []
    for seed in range(5 if small else 20):
        logits = np.random.default_rng(seed).normal(scale=30, size=1000).astype(np.float32)
        shifted = logits - logits.max()
        with np.errstate(divide="ignore"):
            logs = np.log(softmax(shifted))
        exact = shifted - np.log(np.exp(shifted).sum())
        assert np.isfinite(exact).all()
        shares.append(float(np.isinf(logs).mean()))
    return shares


def one_pass(values: np.ndarray) -> float:
    """Variance as mean of squares minus square of the mean, in the values' own type."""
    return float((values * values).mean() - values.mean() ** 2)


def welford(values: np.ndarray) -> float:
    """Variance by running updates (Welford 1962), in the values' own type."""
    mean, squares = values.dtype.type(0), values.dtype.type(0)
    for count, value in enumerate(values, 1):
        gap = value - mean
        mean = mean + gap / values.dtype.type(count)
        squares = squares + gap * (value - mean)
    return float(squares / values.dtype.type(len(values)))


def _draws(small: bool, seed: int) -> list[np.ndarray]:
    chance = np.random.default_rng(seed)
    return [chance.normal(10_000, 1, 1000).astype(np.float32) for _ in range(20 if small else 100)]


def one_pass_wrong(small: bool = True) -> list[float]:
    """Share of draws (1,000 float32 values around 10,000, standard deviation 1) whose one-pass variance is
    more than a tenth off. One value a seed."""
    return [
        float(np.mean([abs(one_pass(d) / d.astype(np.float64).var() - 1) > 0.1 for d in _draws(small, seed)]))
        for seed in range(5)
    ]


def welford_wrong(small: bool = True) -> list[float]:
    """The same share for running updates."""
    return [
        float(np.mean([abs(welford(d) / d.astype(np.float64).var() - 1) > 0.1 for d in _draws(small, seed)]))
        for seed in range(2 if small else 5)
    ]


def stalls_at(small: bool = True) -> float:
    """The count at which adding ones in float16 no longer changes the sum."""
    total, one = np.float16(0), np.float16(1)
    while total + one != total:
        total = total + one
    return float(total)


def left_to_right(small: bool = True) -> float:
    """Relative error of adding 0.1 a million times from left to right in float32."""
    values = np.full(1_000_000, 0.1, dtype=np.float32)
    exact = float(values[0]) * len(values)
    return abs(float(np.cumsum(values)[-1]) / exact - 1)


def pairwise(small: bool = True) -> float:
    """The same with NumPy's sum, which adds in pairs of blocks."""
    values = np.full(1_000_000, 0.1, dtype=np.float32)
    return abs(float(values.sum()) / (float(values[0]) * len(values)) - 1)


STEPS = [10.0**-k for k in range(1, 13)]


def checked(step: float, kind: Any = np.float64, seed: int = 0) -> float:
    """Largest relative error of central differences for the gradient of log(sum(exp(x))), ten numbers."""
    x = np.random.default_rng(seed).normal(size=10)
    truth = softmax(x)

    def loss(at: np.ndarray) -> float:
        at = at.astype(kind)
        top = at.max()
        return float(top + np.log(np.exp(at - top).sum()))

    found = []
    for place in range(len(x)):
        up, down = x.copy(), x.copy()
        up[place] += step
        down[place] -= step
        found.append((loss(up) - loss(down)) / (2 * step))
    return float(np.max(np.abs(np.array(found) - truth) / truth))


def best_step(small: bool = True) -> list[float]:
    """The step, a power of ten, with the smallest error in float64. One value a draw."""
    return [min(STEPS, key=lambda step: checked(step, seed=seed)) for seed in range(5)]


def tiny_step_error(small: bool = True) -> list[float]:
    """Relative error of the check at a step of 1e-12 in float64: rounding, divided by the step."""
    return [checked(1e-12, seed=seed) for seed in range(5)]


def single_precision_check(small: bool = True) -> list[float]:
    """The smallest relative error that any step reaches when the loss is computed in float32."""
    return [min(checked(step, np.float32, seed) for step in STEPS) for seed in range(5)]
