"""The benchmark of executors runs, names each way, and tells precision beside speed."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "decode.py"
    monkeypatch.syspath_prepend(str(path.parent))
    spec = importlib.util.spec_from_file_location("bench_decode", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_decode", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.models
def test_it_runs_and_tells(
    bench: ModuleType,
    smollm2_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "SCORED", 32)
    options = ["--sequences", "1,2", "--context", "8", "--prefill", "16", "--rounds", "1", "--json"]
    options += ["--threads", str(torch.get_num_threads())]
    assert bench.main([*options, "--only", "packed-fp32,kernels-int8"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "handbook.bench.decode/1"
    assert len(found["ways"]) + len(found["missing"]) == 2
    for row in found["ways"].values():
        assert set(row) == {"precision", "decode_1", "decode_2", "prefill"}
        assert row["decode_2"]["tokens_per_s"] > 0
    assert abs(found["ways"]["packed-fp32"]["precision"]["kl"]) < 1e-6
    if "kernels-int8" in found["ways"]:
        assert 0 < found["ways"]["kernels-int8"]["precision"]["kl"] < 0.05
    with pytest.raises(SystemExit, match="No way fast"):
        bench.main([*options, "--only", "fast"])
