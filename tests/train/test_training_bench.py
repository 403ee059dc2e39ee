"""The benchmark of training steps: what it makes of steps, and that ours runs in it."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER / "peers"))
    spec = importlib.util.spec_from_file_location("bench_training", FOLDER / "training.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_training", module)
    spec.loader.exec_module(module)
    return module


def step(seconds: float, peak: int) -> dict[str, float]:
    return {"seconds": seconds, "cpu": 2 * seconds, "peak": peak}


def test_ratios_are_taken_round_by_round(bench: ModuleType) -> None:
    steps = {"ours": [step(1, 30), step(2, 40)], "theirs": [step(3, 90), step(8, 100)]}
    figures = {name: bench.taken(of) for name, of in steps.items()}
    assert figures["ours"]["seconds"] == {"median": 1.5, "low": 1, "high": 2}
    assert figures["ours"]["cpu_seconds"] == 3
    peers = {"autocast": figures["theirs"], "bf16": {"peak_bytes": 50}}
    found = bench.ratios(steps, figures, peers, "autocast")
    assert found == {
        "speed": {"median": 3.5, "low": 3, "high": 4},
        "memory": 0.4,
        "memory_of_leanest": 0.8,
    }
    rows = bench.compare({"sft": {"best": "autocast", "ratios": found}, "dpo": {"best": None}})
    assert [(row["value"], row["target"]) for row in rows] == [(3.5, "at least 2.8"), (0.4, "at most 0.5")]


def test_both_sides_get_the_same_ids(bench: ModuleType) -> None:
    from argparse import Namespace

    from steps import pairs, texts

    options = Namespace(batch=2, length=6, prompt=4, vocabulary=50)
    assert texts(options, 3) == texts(options, 3) != texts(options, 4)
    assert [[len(part) for part in pair] for pair in pairs(options, 0)] == [[4, 2, 2]] * 2


@pytest.mark.models
def test_ours_runs(bench: ModuleType, smollm2_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--batch", "1", "--length", "12", "--prompt", "8", "--rounds", "1", "--threads", "1", "--r", "2"]
    assert bench.main(["--methods", "dpo", "--settings", "", *small, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "handbook.bench.training/1"
    ours = found["methods"]["dpo"]["ours"]
    assert ours["first_loss"] == pytest.approx(0.6931, abs=1e-4), "before a step the policy is the reference"
    assert ours["peak_bytes"] > 0
    assert ours["precision"].startswith("bf16, fused")
    assert found["comparison"] == []


def test_sizes_that_cannot_be_are_refused(bench: ModuleType) -> None:
    for wrong in (["--methods", "ppo"], ["--length", "10", "--prompt", "9"], ["--rounds", "0"]):
        with pytest.raises(SystemExit):
            bench.main(wrong)
