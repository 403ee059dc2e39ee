"""Comparisons of the tests' own: what they let pass, what they refuse, and what they then say."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from handbook.practice.checks import Mismatch, close, equal, gradients, inside, raises, unchanged
from handbook.practice.verdicts import (
    Difference,
    Growth,
    Incident,
    Isolation,
    Report,
    Verdict,
    cut,
)


def message(check: Any, *args: Any, **kw: Any) -> str:
    with pytest.raises(Mismatch) as caught:
        check(*args, **kw)
    said = str(caught.value)
    assert "expected" in said
    assert "got" in said
    return said


A = np.array([[1.0, 2.0], [3.0, np.nan]])


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (A.copy(), A),
        (A + 1e-9, A),
        (np.array([np.inf, -np.inf]), np.array([np.inf, -np.inf])),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0])),
        (torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)),
        (torch.ones(2, requires_grad=True), torch.ones(2)),
        (3, 3.0),
        (np.float32(0.5), 0.5),
        (math.nan, math.nan),
        (1 + 2j, 1 + 2j),
        ([1.0, (A, {"a": A})], [1.0, (A, {"a": A})]),
        ("text", "text"),
        (None, None),
        (np.array(["a"]), np.array(["a"])),
        (np.array([2**62 + 1]), np.array([2**62 + 1])),
    ],
)
def test_close(got: Any, expected: Any) -> None:
    close(got, expected)


@pytest.mark.parametrize(
    ("got", "expected", "said"),
    [
        (A + 1e-3, A, "expected [[ 1., 2.], [ 3., nan]], got [[1.001, 2.001], [3.001, nan]] (3 of 4"),
        (A[:, :1], A, "expected shape (2, 2), got shape (2, 1)"),
        (A.tolist(), A, "expected a NumPy array of shape (2, 2)"),
        (torch.tensor(A), A, "expected a NumPy array"),
        (A, torch.tensor(A), "expected a torch tensor"),
        (np.array([np.inf]), np.array([1.0]), "inf"),
        (np.array([1.0]), np.array([np.inf]), "inf"),
        (np.array([-np.inf]), np.array([np.inf]), "inf"),
        (np.array([np.nan]), np.array([1.0]), "nan"),
        (np.array([2**62 + 1]), np.array([2**62]), "1 of 1 differ"),
        (np.array([1.0, 2.0]), np.array(["a", "b"]), "2 of 2 differ"),
        (True, 1.0, "expected a number"),
        ("1", 1.0, "expected a number"),
        (math.nan, 1.0, "got nan"),
        (1.1, 1.0, "expected 1.0, got 1.1"),
        ((1.0,), [1.0], "expected a list"),
        ([1.0], [1.0, 2.0], "expected 2 items"),
        ({"a": 1.0}, {"b": 1.0}, "without ['b']"),
        ({"a": 1.0, "b": 2.0}, {"a": 1.0}, "with ['b'] too many"),
        ([1.0, {"a": A + 1}], [1.0, {"a": A}], "out[1]['a']: expected"),
    ],
)
def test_not_close(got: Any, expected: Any, said: str) -> None:
    assert said in message(close, got, expected, "out")


def test_where_arrays_differ() -> None:
    expected = np.zeros((10, 10))
    got = expected.copy()
    got[3, 4], got[5, 6] = 0.5, -2.0
    with pytest.raises(Mismatch) as caught:
        close(got, expected, "scores", atol=1e-3, peer="torch 2")
    found = caught.value.difference
    assert (found.first, found.first_expected, found.first_got) == ((3, 4), "0.0", "0.5")
    assert (found.differing, found.of, found.worst) == (2, 100, 2.0)
    assert (found.expected_shape, found.got_shape) == ((10, 10), (10, 10))
    assert (found.expected_dtype, found.peer) == ("float64", "torch 2")
    assert found.tolerance == "rtol=1e-06, atol=0.001"
    said = "scores: expected 0.0 at [3, 4], got 0.5 (2 of 100 differ, by at most 2)"
    assert str(caught.value) == said


def test_dtype_if_asked() -> None:
    got = np.zeros(2, dtype=np.float32)
    close(got, np.zeros(2))
    for dtype in ("float64", np.float64, np.dtype("float64")):
        assert "expected dtype float64, got float32" in message(close, got, np.zeros(2), dtype=dtype)
    assert "dtype" in message(close, torch.zeros(2), torch.zeros(2), dtype=torch.float64)
    close(np.float32(1), 1.0, dtype="float32")


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (1, 1),
        (np.int64(3), 3),
        (0, 0.0),
        (math.nan, math.nan),
        ({1, 2}, {2, 1}),
        ({"a": [1, (2, None)]}, {"a": [1, (2, None)]}),
        (np.array([1, 2]), np.array([1, 2])),
        (np.bool_(True), True),
        (slice(1, 2), slice(1, 2)),
    ],
)
def test_equal(got: Any, expected: Any) -> None:
    equal(got, expected)


@pytest.mark.parametrize(
    ("got", "expected", "said"),
    [
        (True, 1, "expected 1 (int), got True (bool)"),
        (1, True, "expected True (bool), got 1 (int)"),
        (1.0, 1, "expected 1 (int), got 1.0 (float)"),
        ((1, 2), [1, 2], "expected a list"),
        ([1, 2], (1, 2), "expected a tuple"),
        ([1, [2, 3]], [1, [2, 4]], "x[1][1]: expected 4, got 3"),
        ({"a": 1}, {"a": 2}, "x['a']: expected 2, got 1"),
        ({1}, {1, 2}, "expected {1, 2}, got {1}"),
        (np.array([1, 0]), np.array([True, False]), "expected dtype bool"),
        (np.array([1, 2]), np.array([1, 3]), "1 of 2 differ"),
        (np.array([1.0 + 1e-12]), np.array([1.0]), "differ"),
        (b"a", "a", "expected 'a' (str)"),
        (None, 0, "got None"),
    ],
)
def test_not_equal(got: Any, expected: Any, said: str) -> None:
    assert said in message(equal, got, expected, "x")


class Sly:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_object_that_equals_everything_equals_nothing() -> None:
    message(equal, Sly(), 3)
    message(close, Sly(), 3.0)
    message(close, Sly(), A)


def fails(kind: type[Exception]) -> None:
    raise kind("so")


def test_raises() -> None:
    assert str(raises(ValueError, fails, ValueError)) == "so"
    raises((ValueError, KeyError), fails, KeyError)
    assert "w: expected ValueError, got TypeError: so" in message(
        raises, ValueError, fails, TypeError, what="w"
    )
    assert "expected ValueError, got the result 3" in message(raises, ValueError, abs, -3)


def test_unchanged() -> None:
    unchanged(A, A.copy(), "logits")
    assert "logits: expected it unchanged, [1, 2], got [2, 1]" in message(unchanged, [2, 1], [1, 2], "logits")


def test_gradients() -> None:
    x, w = np.random.default_rng(0).normal(size=(3, 2)), np.array([0.5, -1.5])

    def loss(x: Any, w: Any) -> float:
        return float((np.tanh(x) @ w).sum())

    right = [(1 - np.tanh(x) ** 2) * w, np.tanh(x).sum(axis=0)]
    gradients(loss, [x, w], right)
    assert "d[1]: expected" in message(gradients, loss, [x, w], [right[0], right[1] * 1.01], "d")
    assert "expected 2 gradients, got 1" in message(gradients, loss, [x, w], right[:1])
    assert "shape" in message(gradients, loss, [x, w], [right[0].T, right[1]])
    for bad in (math.nan, math.inf):  # NaN equals NaN, but no gradient is right there
        lost = [np.full_like(x, math.nan), np.full_like(w, math.nan)]
        assert "expected a finite number" in message(gradients, lambda x, w: bad, [x, w], lost)  # noqa: B023


def test_inside_a_plain_module_just_calls() -> None:
    assert inside(math, lambda module, x: module.floor(x), 2.5) == 2


def test_report_travels_as_json() -> None:
    found = Difference("x", "1" * 5000, "a\0b\ud800", (2, 3), (3, 2), first=(0, 1), worst=math.inf)
    assert len(found.expected) == 2000
    assert found.got == "a\N{REPLACEMENT CHARACTER}b?"
    assert found.worst is None
    verdicts = (
        Verdict("test_a", False, "failed", "m", found, line=3),
        Verdict("test_b", True, "passed"),
    )
    growth = Growth("looks like n", 1.0, 0.9, 1.1, (1, 2), (0.1, 0.2), "n", True)
    isolation = Isolation("process", ("rlimits",), ("time",), ("network",))
    incidents = (Incident("time", "ran out"),)
    report = Report("e", verdicts, incidents, "out", 1.0, 0.5, 3, isolation, growth)
    assert not report.passed
    assert Report.from_dict(json.loads(json.dumps(report.asdict()))) == report
    assert not Report("e", (), (), "", 0, 0, 0, isolation).passed
    with pytest.raises(ValueError, match="schema"):
        Report.from_dict({**report.asdict(), "schema": "other/1"})


def test_cut() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcdef", 5) == "ab..."
