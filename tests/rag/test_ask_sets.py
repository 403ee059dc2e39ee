"""The question sets of `bench/ask.py`, and what it makes of them with the packaged embedder."""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from handbook.book.load import open_book
from handbook.book.nouns import Book
from handbook.rag.passages import book_entries
from handbook.settings import Settings

BENCH = Path(__file__).parents[2] / "bench" / "ask.py"
SETS = ("answerable", "unanswerable")


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return loaded(BENCH)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the book is embedded, once for all tests."""
    return str(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def book() -> Book:
    return open_book()


def test_the_sets_are_large_enough_and_split_once_and_for_all(bench: ModuleType) -> None:
    rows = {name: bench.read(name) for name in SETS}
    assert len(rows["answerable"]) >= 60
    assert len(rows["unanswerable"]) >= 30
    everything = [row for some in rows.values() for row in some]
    assert (
        len({row["id"] for row in everything})
        == len({row["question"] for row in everything})
        == len(everything)
    )
    for some in rows.values():
        for split in ("dev", "test"):
            assert sum(row["split"] == split for row in some) >= len(some) // 2
    assert {row["kind"] for row in rows["unanswerable"]} == {"far", "near", "trick"}


def test_every_right_paragraph_is_in_the_book_and_may_be_cited(bench: ModuleType, book: Book) -> None:
    citable = {entry.chunk.id for entry in book_entries(book) if entry.answers}
    wanted = {anchor for row in bench.read("answerable") for anchor in row["anchors"]}
    assert wanted - citable == set()


def runs_of(text: str, length: int = 7) -> Iterator[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return (tuple(words[i : i + length]) for i in range(len(words) - length + 1))


def test_no_question_is_taken_from_the_book(bench: ModuleType, book: Book) -> None:
    chapter = book.chapters["transformer-deep-dive"]
    texts = [paragraph.text for paragraph in chapter.paragraphs]
    texts += [question.prompt for question in chapter.questions]
    said = {run for text in texts for run in runs_of(text)}
    copied = [row["question"] for row in bench.read("answerable") if said & set(runs_of(row["question"]))]
    assert copied == []


def test_the_fit_finds_a_boundary(bench: ModuleType) -> None:
    """Two features, of which the first alone tells: its weight is the larger one."""
    import numpy as np

    X = np.array([[0.1, 0.5], [0.2, 0.1], [0.3, 0.9], [0.7, 0.6], [0.8, 0.2], [0.9, 0.8]])
    y = np.array([0.0, 0, 0, 1, 1, 1])
    bias, slopes = bench.logistic(X, y, np.ones(6))
    z = bias + X @ slopes
    assert (z[:3] < 0).all()
    assert (z[3:] > 0).all()
    assert slopes[0] > 4 * abs(slopes[1])


@pytest.mark.models
@pytest.mark.slow
def test_the_book_is_asked_and_answers(
    bench: ModuleType,
    models_dir: Path,
    model_settings: Settings,
    index: str,
    capsys: Any,
    monkeypatch: Any,
) -> None:
    """Floors some way below what was measured: they catch a break, not a wobble."""
    monkeypatch.setenv("HANDBOOK_DATA", str(model_settings.data))
    monkeypatch.setenv("HANDBOOK_STORE_URL", index)
    assert bench.main(["--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["unknown_anchors"] == []
    for split in ("dev", "test"):
        assert report["retrieval"]["by_way"]["reranked"][split]["top3"] >= 0.68
        assert report["refusal"][split]["answered"] >= 0.85
        # 16 of 22 on dev: a sixth chapter speaks of caches and windows too; a refit answers less
        assert report["refusal"][split]["refused"] >= (0.70 if split == "dev" else 0.78)
    assert report["latency"]["search"]["p50_ms"] < 100


@pytest.mark.models
@pytest.mark.slow
def test_no_stage_is_worse_than_what_is_kept(
    models_dir: Path, model_settings: Settings, index: str, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("HANDBOOK_DATA", str(model_settings.data))
    monkeypatch.setenv("HANDBOOK_STORE_URL", index)
    monkeypatch.syspath_prepend(str(BENCH.parent))
    kept = BENCH.with_name("ask") / "scores.json"
    status = loaded(BENCH.with_name("rag.py")).main(["--book", "--gate", str(kept)])
    assert status == 0, capsys.readouterr().err
