"""The benchmark runs, all contenders compute the same, and each is timed in each job."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def bench() -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "moe.py"
    spec = importlib.util.spec_from_file_location("bench_moe", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SMALL = ["--dim", "16", "--hidden", "8", "--experts", "6", "--k", "2", "--tokens", "20", "--rounds", "2"]


def test_it_runs_and_all_agree(bench, capsys):
    assert bench.main([*SMALL, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "handbook.bench.moe/1"
    assert found["largest_difference"] < 1e-5
    for job in ("decode", "prefill", "train"):
        assert set(found[job]) == {
            "plain",
            "grouped",
            "fused",
            "transformers eager",
            "transformers grouped_mm",
        }
        assert all(row["milliseconds"] > 0 for row in found[job].values())
        assert found[job]["grouped"]["over_grouped"] == 1.0


def test_numbers_that_cannot_be(bench, capsys):
    for wrong in (["--k", "7"], ["--tokens", "0"]):
        with pytest.raises(SystemExit):
            bench.main([*SMALL, *wrong])
    assert "--k is at most --experts" in capsys.readouterr().err
