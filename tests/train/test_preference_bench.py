"""The benchmark of pairs: it runs, leaves the model as it was between runs, and its intervals are right."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.train.pocket import write_pairs, write_pocket


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "preference.py"
    spec = importlib.util.spec_from_file_location("bench_preference", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_it_runs(bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two seeds of one beta and one weight on a model over bytes: the polite answer is soon preferred."""
    model, data = write_pocket(tmp_path / "pocket"), write_pairs(tmp_path / "pairs.jsonl")
    small = {
        "--betas": 0.5, "--weights": 1, "--seeds": 2, "--steps": 10, "--rate": 0.02, "--rank": 4, "--rows": 1,
        "--tokens": 512, "--length": 128, "--least": 4, "--held-out": 6, "--prompts": 2, "--most": 6,
        "--precision": "fp32", "--threads": 1,
    }  # fmt: skip
    told = [str(word) for item in small.items() for word in item]
    assert bench.main(["--data", str(data), "--model", str(model), *told, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "handbook.bench.preference/1"
    assert (found["pairs"], found["dropped"], found["data"]) == (24, 0, "pairs.jsonl")
    base, dpo, orpo = (found["methods"][name] for name in ("base", "dpo 0.5", "orpo 1"))
    assert base["accuracy"]["values"] == [0.5, 0.5]
    assert base["kl"]["mean"] == base["margin"]["mean"] == base["sampled_kl"]["mean"] == 0
    for row in (dpo, orpo):
        assert row["accuracy"]["mean"] == 1, "held-out pairs are like those it learns from"
        assert row["over_base"]["accuracy"]["values"] == [0.5, 0.5]
        assert row["kl"]["mean"] > 0.01
        assert row["sampled_kl"]["mean"] > 0
        assert 0 < row["sampled_tokens"]["mean"] <= 6
        assert len(row["seconds"]["values"]) == 2
    assert dpo["margin"]["mean"] != orpo["margin"]["mean"]


def test_a_split_is_of_its_seed(bench: ModuleType) -> None:
    train, held_out = bench.split(range(20), 5, 3)
    assert sorted(train + held_out) == list(range(20))
    assert len(held_out) == 5
    assert bench.split(range(20), 5, 3) == (train, held_out)
    assert bench.split(range(20), 5, 4) != (train, held_out)


def test_intervals(bench: ModuleType) -> None:
    """1, 2, 3: mean 2, deviation 1, so 4.303 / sqrt(3) either way."""
    found = bench.spread([1.0, 2.0, 3.0])
    assert (found["mean"], found["half_width"]) == (2, pytest.approx(4.303 / 3**0.5))
    assert bench.spread([1.0])["half_width"] is None


def test_numbers_that_cannot_be(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--seeds", "0"], ["--tokens", "600"], ["--betas", "0.1,-1"]):
        with pytest.raises(SystemExit):
            bench.main(["--data", "pairs.json", *wrong])
    said = capsys.readouterr().err
    assert "--held-out" in said
    assert "a row holds a pair, got 600" in said
    assert "expected numbers above 0, got 0.1,-1" in said
