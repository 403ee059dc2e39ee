"""`handbook bench rag` on a small set with a fake encoder, and its full text on the public ones."""

import importlib.util
import json
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from handbook.errors import DataError, HandbookError
from handbook.rag import cacm
from handbook.rag.beir import Golden, Text, write
from handbook.rag.evaluate import difference, scores
from handbook.rag.index import Index
from handbook.rag.store import Store
from tests.rag.fakes import HashEmbedder

WORDS = ["attention", "cache", "router", "token", "page", "head", "loss", "rank", "batch", "kernel"]
SMALL = Golden(
    "small",
    {f"d{n}": Text(f"On the {word}", f"{word} and {WORDS[n - 1]}") for n, word in enumerate(WORDS)},
    {f"q{n}": f"What is the {word}?" for n, word in enumerate(WORDS)},
    {f"q{n}": {f"d{n}": 2, f"d{(n + 1) % len(WORDS)}": 1} for n in range(len(WORDS))},
)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    folder = Path(__file__).parents[2] / "bench"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("HANDBOOK_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("handbook.embed.open_embedder", lambda settings: HashEmbedder())
    spec = importlib.util.spec_from_file_location("bench_rag", folder / "rag.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> str:
    write(SMALL, tmp_path / "sets/small")
    return str(tmp_path / "sets/small")


def test_every_stage_is_scored(
    bench: ModuleType, folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "SWEPT", {"depth": (3, 10)})
    assert bench.main([folder, "--json", "--sweep"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["sets"]
    assert (found["set"], found["documents"], found["queries"]) == ("small", 10, 10)
    rows = {row["stage"]: row for row in found["stages"]}
    assert list(rows)[:3] == ["BM25", "dense", "hybrid"]
    assert rows["BM25"]["nDCG@10"] == rows["BM25"]["R@10"] == 1
    assert rows["dense"]["R@10"] == 1  # of ten documents
    assert rows["BM25"]["nDCG@10"] >= rows["hybrid"]["nDCG@10"] > 0.5
    assert all(0 < row["p50_ms"] <= row["p99_ms"] for row in rows.values())
    assert [(step["stage"], step["over"]) for step in found["steps"][:2]] == [
        ("dense", "BM25"),
        ("hybrid", "BM25"),
    ]
    assert all(step["low"] <= step["mean"] <= step["high"] for step in found["steps"])
    assert all(0 <= row["quoted"] <= 1 for row in found["sweep"]["front"])


def test_ways_are_compared(
    bench: ModuleType, folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("_compared.difference", partial(difference, resamples=100))
    assert bench.main([folder, "--json", "--compare", "fusion", "diversity", "late", "forms"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["sets"]
    assert found["stages"] == []
    rows = {name: {row["what"]: row for row in rows} for name, rows in found["compared"].items()}
    assert rows["fusion"]["min-max"]["low"] <= rows["fusion"]["min-max"]["mean"]
    assert rows["fusion"]["rrf, k = 10"]["mean"] == 0
    chosen = [row for name, row in rows["fusion"].items() if "weight chosen" in name]
    assert len(chosen) == 5
    assert all(row["weight"] in (0.25, 0.5, 1, 2, 4) for row in chosen)
    alike = {row["alike"] for row in rows["diversity"].values()}
    assert len(alike) == 1  # whatever the order, the first ten of ten
    assert rows["late"]["MaxSim"]["nDCG@10"] == 1  # each question's word stands in its document
    forms = rows["forms"]
    assert [forms[name]["bytes"] for name in ("fp32, 256", "fp32, first 64", "int8")] == [1024, 256, 260]
    assert forms["fp32, 256"]["nDCG@10"] >= forms["fp32, first 64"]["nDCG@10"]
    said = bench.in_words(found)
    assert "nDCG@10" not in said
    assert "rrf, k = 60" in said


def test_a_folder_of_sets(
    bench: ModuleType, folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDBOOK_RETRIEVAL", raising=False)
    with pytest.raises(HandbookError, match="No golden set is named"):
        bench.main([])
    monkeypatch.setenv("HANDBOOK_RETRIEVAL", str(Path(folder).parent))
    assert bench.main([]) == 0
    said = capsys.readouterr().out
    assert "small: 10 documents, 10 questions" in said
    assert "dense over BM25" in said


def test_the_gate(bench: ModuleType, folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept.json"
    assert bench.main([folder, "--store", str(kept)]) == 0
    assert bench.main([folder, "--gate", str(kept)]) == 0
    write(
        Golden("small", {**SMALL.documents, "d3": Text("", "gone")}, SMALL.queries, SMALL.judged),
        Path(folder),
    )
    capsys.readouterr()
    assert bench.main([folder, "--gate", str(kept)]) == 1
    assert "BM25, nDCG@10: from 1.0000 to" in capsys.readouterr().err
    write(Golden("small", SMALL.documents, SMALL.queries, {"q1": {"d1": 1}}), Path(folder))
    with pytest.raises(DataError, match="other questions or judgements"):
        bench.main([folder, "--gate", str(kept)])


@pytest.mark.shared
def test_bm25_on_cacm(bench: ModuleType, retrieval_path: Path, tmp_path: Path) -> None:
    golden = cacm.read(retrieval_path / "cacm")
    embedder = HashEmbedder(dimension=8)
    index = Index(Store(str(tmp_path / "index"), tmp_path / "lock"), "cacm", 8)
    vectors = np.tile(embedder.embed(["none"]), (len(golden.documents), 1))
    searcher = sys.modules["_golden"].Searcher(golden, index, embedder, vectors)
    ranked = {query: searcher.lexical(text, 10) for query, text in golden.queries.items()}
    searcher.close()
    assert scores("BM25", ranked, golden.judged, ["nDCG@10"]).mean("nDCG@10") >= 0.39
