"""Hidden tests: exact fractions, tails, torch, temperatures, masks that broadcast, types, warnings."""

import math
from fractions import Fraction

import numpy as np
import torch

from handbook.practice.checks import close, equal, inside, unchanged


def test_exact_fractions(submission):
    """Logits that are logarithms of whole numbers give fractions."""
    rng = np.random.default_rng(2)
    for case in range(10):
        numbers = rng.integers(1, 50, 6)
        expected = np.array([float(Fraction(int(n), int(numbers.sum()))) for n in numbers])
        got = submission.softmax(np.log(numbers))
        close(got, expected, f"case {case}: logarithms of {numbers.tolist()}", rtol=1e-12)


def test_log_of_what_underflows(submission):
    """Log-probabilities far below the smallest float."""
    logits = np.array([0.0, 0.0, -800.0, -5000.0])
    expected = logits - math.log(2)
    got = submission.log_softmax(logits)
    close(got, expected, "logits 0, 0, -800, -5000", rtol=1e-12)
    got = submission.log_softmax(np.array([50.0, 0.0]))
    close(got, np.array([-math.log1p(math.exp(-50)), -50.0]), "logits 50 and 0", rtol=1e-6, atol=1e-15)


def test_torch_agrees(submission):
    """torch.softmax and torch.log_softmax in float64, over axes, scales and temperatures."""
    rng = np.random.default_rng(3)
    for scale in (0.1, 3.0, 300.0):
        logits = scale * rng.normal(size=(4, 7, 3))
        for axis in (0, 1, -1):
            for temperature in (0.3, 1.0, 7.0):
                tensor = torch.from_numpy(logits) / temperature
                what = f"scale {scale}, axis {axis}, temperature {temperature}"
                got = submission.softmax(logits, axis, temperature)
                close(got, tensor.softmax(axis).numpy(), what, rtol=1e-10, atol=1e-300, peer="torch")
                got = submission.log_softmax(logits, axis, temperature)
                close(got, tensor.log_softmax(axis).numpy(), f"log, {what}", rtol=1e-10, peer="torch")


def test_small_and_large_temperatures(submission):
    """Near 0 the best takes all, ties share; far up all are equal."""
    logits = np.array([3.0, 10_000.0, 10_000.0, -10_000.0])
    close(submission.softmax(logits, temperature=1e-6), np.array([0.0, 0.5, 0.5, 0.0]), "temperature 1e-6")
    close(submission.softmax(logits, temperature=1e12), np.full(4, 0.25), "temperature 1e12", atol=1e-7)
    got = submission.log_softmax(np.array([1.0, 0.0]), temperature=0.001)
    close(got, np.array([0.0, -1000.0]), "log at temperature 0.001")


def test_huge_float64(submission):
    """Logits of 1e300, whose difference is beyond exp, at a temperature below 1."""
    logits = np.array([1e300, 1e300, -1e300])
    close(submission.softmax(logits), np.array([0.5, 0.5, 0.0]), "logits of 1e300")
    close(submission.log_softmax(logits)[:2], np.log([0.5, 0.5]), "log of logits of 1e300")


def test_masks_broadcast(submission):
    """A causal mask over heads: what is allowed is the softmax of the shorter row, the rest exactly 0."""
    rng = np.random.default_rng(4)
    scores, mask = rng.normal(size=(2, 5, 5)), np.tril(np.ones((5, 5), dtype=bool))
    got, logs = submission.softmax(scores, mask=mask), submission.log_softmax(scores, mask=mask)
    equal(got.shape, (2, 5, 5), "shape")
    for row in range(5):
        kept = np.exp(scores[:, row, : row + 1])
        expected = np.concatenate((kept / kept.sum(-1, keepdims=True), np.zeros((2, 4 - row))), axis=1)
        close(got[:, row], expected, f"row {row}", atol=0.0)
        equal(np.isneginf(logs[:, row]), expected == 0, f"where the log of row {row} is -inf")


def test_masked_logit_may_be_anything(submission):
    """A forbidden entry that is huge, infinite or NaN leaves no trace."""
    mask = np.array([True, False, True])
    for bad in (1e4, np.inf, np.nan, -np.inf):
        logits = np.array([1.0, bad, 1.0])
        close(submission.softmax(logits, mask=mask), np.array([0.5, 0.0, 0.5]), f"forbidden {bad}")
    got = submission.softmax(np.array([-np.inf, 2.0, -np.inf]))
    close(got, np.array([0.0, 1.0, 0.0]), "logits of minus infinity")
    got = submission.softmax(np.full(3, -np.inf))
    equal(got, np.zeros(3), "all logits minus infinity")


def test_mask_along_the_first_axis(submission):
    """A mask of shape [N, 1] with axis 0, one column at a time."""
    logits = np.array([[0.0, 1.0], [0.0, 1.0], [5.0, 5.0]])
    got = submission.softmax(logits, axis=0, mask=np.array([[True], [True], [False]]))
    close(got, np.array([[0.5, 0.5], [0.5, 0.5], [0.0, 0.0]]), "axis 0, last row forbidden")


def warned(submission, kind):
    """Warnings that large logits of a type, a forbidden row and a small temperature give."""
    import warnings

    import numpy as np

    logits = np.array([[1e4, -1e4, 3.0], [0.0, 1.0, 2.0]]).astype(kind)
    mask = np.array([[True, True, True], [False, False, False]])
    said, types = [], []
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("always")
        for call in (submission.softmax, submission.log_softmax):
            types.append(str(call(logits, -1, 1e-6, mask).dtype))
        said = [str(item.message) for item in caught]
    return types, said


def test_no_warnings_and_types(submission):
    """float64 out for every type, and not a word about overflow or division."""
    for kind in ("float16", "float32", "float64"):
        types, said = inside(submission, warned, kind)
        equal(types, ["float64", "float64"], f"types out for {kind}")
        equal(said, [], f"warnings for {kind}")


def test_arguments_unchanged(submission):
    """Logits and mask are as they were."""
    logits, mask = np.array([1.0, 2.0, 3.0]), np.array([True, False, True])
    for name in ("softmax", "log_softmax"):
        getattr(submission, name)(logits, temperature=2.0, mask=mask)
        unchanged(logits, np.array([1.0, 2.0, 3.0]), f"logits after {name}")
        unchanged(mask, np.array([True, False, True]), f"mask after {name}")
