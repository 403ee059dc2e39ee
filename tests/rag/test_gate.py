import json
from pathlib import Path
from typing import Any

import pytest

from handbook.errors import DataError, DataUnavailable
from handbook.rag.beir import Golden, Text
from handbook.rag.evaluate import Scores
from handbook.rag.gate import falls, store

GOLDEN = Golden("small", {"a": Text("a", "")}, {"1": "x", "2": "y"}, {"1": {"a": 1}, "2": {"a": 1}})


def scored(first: float, second: float, stage: str = "dense") -> Scores:
    return Scores(stage, {"R@10": {"1": first, "2": second}})


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "gate.json"
    store(path, GOLDEN, [scored(1, 0.5)])
    return path


def test_the_same_and_better_pass(stored: Path) -> None:
    assert falls(stored, GOLDEN, [scored(1, 0.5)]) == []
    assert falls(stored, GOLDEN, [scored(1, 1), scored(0, 0, "new")]) == []
    assert falls(stored, GOLDEN, [scored(1, 0.48)]) == []  # the mean fell by 0.01
    assert falls(stored, GOLDEN, [scored(0.5, 1)]) == []  # one lost what another won


def test_a_fall_says_where(stored: Path) -> None:
    (fall,) = falls(stored, GOLDEN, [scored(0.75, 0)])
    assert (fall.stage, fall.measure, fall.stored, fall.now) == ("dense", "R@10", 0.75, 0.375)
    assert fall.queries == ("2", "1")
    assert (fall.apart.low, fall.apart.high) == (-0.5, -0.25)
    assert "dense, R@10: from 0.7500 to 0.3750 (between -0.5000 to -0.2500); lost at 2, 1" in str(fall)
    assert falls(stored, GOLDEN, [scored(0.75, 0)], allowed=0.4) == []
    (fall,) = falls(stored, GOLDEN, [scored(0, 0.75)])
    assert fall.queries == ("1",)


def test_what_is_no_longer_measured_is_no_pass(stored: Path) -> None:
    with pytest.raises(DataError, match="not measured: dense, R@10"):
        falls(stored, GOLDEN, [scored(1, 1, "other")])
    with pytest.raises(DataError, match="other queries"):
        falls(stored, GOLDEN, [Scores("dense", {"R@10": {"1": 1.0}})])


def test_another_set_is_no_pass(stored: Path) -> None:
    other = Golden("small", GOLDEN.documents, GOLDEN.queries, {"1": {"a": 2}, "2": {"a": 1}})
    with pytest.raises(DataError, match="other questions or judgements"):
        falls(stored, other, [scored(1, 1)])


def broken(**fields: Any) -> str:
    said = {
        "schema": "handbook.rag.gate/1",
        "digest": GOLDEN.digest,
        "stages": {"dense": {"R@10": {"1": 1, "2": 1}}},
    }
    return json.dumps({**said, **fields})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 5000,
        broken(schema="other"),
        broken(stages=[]),
        broken(stages={"dense": {"R@10": {"1": "x", "2": 1}}}),
    ]
    + [broken(stages={"dense": {"R@10": {"1": value, "2": 1}}}) for value in (2, True, float("nan"))],
)
def test_a_broken_file_is_no_pass(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gate.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"cannot be read|schema|no scores"):
        falls(path, GOLDEN, [scored(1, 1)])


def test_nothing_stored_is_no_pass(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable):
        falls(tmp_path / "none.json", GOLDEN, [scored(1, 1)])
