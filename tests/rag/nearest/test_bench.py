"""The benchmark runs with LanceDB beside ours, and says so where its files don't hold vectors."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from handbook.rag.nearest.clouds import clouds


@pytest.fixture
def bench() -> ModuleType:
    path = Path(__file__).parents[3] / "bench" / "nearest.py"
    spec = importlib.util.spec_from_file_location("bench_nearest", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_runs_beside_lance(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, queries = clouds(400, 5, dimension=16)
    np.save(tmp_path / "all.npy", np.concatenate([vectors, queries]))
    monkeypatch.setattr(bench, "PROBED", {"20 probes": bench.PROBED["16 probes, refine 10"]})
    monkeypatch.setattr(bench, "WALKED", {"wide": bench.WALKED["width 160"]})
    assert bench.main(["--vectors", str(tmp_path / "all.npy"), "--queries-count", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "handbook.bench.nearest/1"
    assert (found["vectors"], found["queries"], found["dimension"]) == (400, 5, 16)
    best: dict[str, float] = {}
    for point in found["points"]:
        best[point["index"]] = max(best.get(point["index"], 0), point["recall"])
    assert {name for name in best if name.startswith("Lance")} == {
        "Lance exact",
        "Lance IVF_PQ",
        "Lance IVF_RQ",
        "Lance HNSW_SQ",
    }
    assert len(best) == 9
    assert all(rate > 0.9 for rate in best.values())
    assert best["Lance exact"] == best["exact"] == 1


def test_ours_alone_as_a_table(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--count", "300", "--queries-count", "4", "--dimension", "8", "--no-lance"]) == 0
    said = capsys.readouterr().out
    assert "300 vectors of 8 dimensions, 4 queries" in said
    assert "Lance" not in said


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros(3, np.float32), "finite numbers"),
        (np.full((3, 2), np.nan, np.float32), "finite numbers"),
        (np.zeros((3, 2), np.float32), "one dimension"),
    ],
)
def test_files_that_hold_no_vectors(bench: ModuleType, tmp_path: Path, array: np.ndarray, says: str) -> None:
    np.save(tmp_path / "some.npy", array)
    np.save(tmp_path / "queries.npy", np.zeros((1, 5), np.float32))
    named = ["--vectors", str(tmp_path / "some.npy"), "--queries", str(tmp_path / "queries.npy")]
    with pytest.raises(SystemExit, match=says):
        bench.main(named)


def test_numbers_that_cannot_be(bench: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--k", "0"])
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(SystemExit, match="cannot be read"):
        bench.main(["--vectors", str(tmp_path / "text.npy")])
