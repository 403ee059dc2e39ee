"""The benchmark of splitters runs, and says what it should."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from handbook.settings import Settings


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "chunk.py"
    spec = importlib.util.spec_from_file_location("bench_chunk", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_read(bench: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("one", encoding="utf-8")
    (tmp_path / "b.txt").write_text("two" * 1000, encoding="utf-8")
    (tmp_path / "c.md").write_text(" ", encoding="utf-8")
    (tmp_path / "corpus.jsonl").write_text('{"text": "three"}\n\n{"text": "four"}\n', encoding="utf-8")
    assert bench.read(tmp_path, 1.0) == ["one", "two" * 1000]
    assert bench.read(tmp_path, 0.001) == ["one"]
    assert bench.read(tmp_path / "corpus.jsonl", 1.0) == ["three", "four"]
    found = bench.timed(lambda text: len(text.split()), ["a b", "c"], 2)
    assert (found["chunks"], found["mb"]) == (3, 4e-6)


@pytest.mark.models
def test_it_runs(
    bench: ModuleType,
    tmp_path: Path,
    model_settings: Settings,
    minilm_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "a.md").write_text("# Top\n\n" + "The cut. The token.\n\n" * 40, encoding="utf-8")
    assert bench.main(["--corpus", str(tmp_path), "--limit", "40", "--rounds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "handbook.bench.chunk/1"
    assert found["splitters"]["markdown"]["chunks"] == found["splitters"]["markdown, plain count"]["chunks"]
    assert all(one["mb_per_s"] > 0 for one in found["splitters"].values())
