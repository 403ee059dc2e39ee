"""The benchmark of adapters side by side runs, and tells what it says it tells."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "adapters.py"
    spec = importlib.util.spec_from_file_location("bench_adapters", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_adapters", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.models
def test_it_runs_and_tells(bench: ModuleType, smollm2_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--on", "torch-fp32", "--texts", "2", "--adapters", "2", "--rank", "2", "--prompt", "6"]
    options += ["--tokens", "3", "--rounds", "1", "--threads", str(torch.get_num_threads())]
    assert bench.main([*options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "handbook.bench.adapters/1"
    rows = found["on"]["torch-fp32"]
    assert set(rows) == {"0", "2"}
    for parts in rows.values():
        assert set(parts) == {"reading", "decode"}
        for cell in parts.values():
            assert 0 < cell["low"] <= cell["tokens_per_s"] <= cell["high"]
    assert rows["0"]["decode"]["ratio"] == 1.0
    assert found["adapter_bytes"] > 1_000_000
    assert "\n".join(bench.told(found))
    with pytest.raises(SystemExit):
        bench.main([*options, "--on", "gpu"])
    assert "no executor gpu; there is torch-fp32, kernels-fp32" in capsys.readouterr().err
