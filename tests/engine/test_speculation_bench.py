"""The benchmark of speculation runs, and every drafter's answer is the answer."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "speculation.py"
    spec = importlib.util.spec_from_file_location("bench_speculation", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_speculation", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.models
def test_it_runs_and_tells(
    bench: ModuleType,
    smollm2_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"PASSAGE": 12, "RATES": (1.0,), "SCORED": 8}.items():
        monkeypatch.setattr(bench, name, value)
    options = ["--tokens", "4", "--rounds", "1", "--layers", "3", "--oracle", "100", "--on", "torch-fp32"]
    options += ["--drafts", "2"]
    assert bench.main([*options, "--json", "--threads", str(torch.get_num_threads())]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "handbook.bench.speculation/1"
    parts = found["on"]["torch-fp32"]
    for text in ("copy", "prose"):
        assert set(parts[text]) == {"off", "lookup", "layers-3", "oracle-100"}
        assert all(row["same"] for row in parts[text].values())
        assert parts[text]["off"]["tokens_per_step"] == 1
        assert parts[text]["oracle-100"]["acceptance"] == 1
    certain = parts["arithmetic"][0]
    assert (certain["drafts"], certain["rate"], certain["tokens_per_step"]) == (2, 1.0, 3.0)
    assert set(found["agreement"]) == {str(layer) for layer in range(3, 30, 3)}
    with pytest.raises(SystemExit, match="No executor gpu"):
        bench.main([*options, "--on", "gpu"])
    assert "\n".join(bench.told(found))
