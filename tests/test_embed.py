"""Embedders: all-MiniLM-L6-v2 against sentence-transformers, batching, and HTTP against a real server."""

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from openai_server import State, serving, vector

from handbook.embed import HttpEmbedder, LocalEmbedder, Truncated, batches, open_embedder, truncated
from handbook.engine.kernels import build
from handbook.errors import ModelFileError, ModelUnavailable, SettingsError
from handbook.settings import Settings

TEXTS = [
    "",
    " ",
    "a",
    "The cat sits on the mat.",
    "   leading and trailing   \n",
    "Two lines\nand a\ttab",
    "Ünïcödé, naïve café, Straße, İstanbul",
    "注意力就是你所需要的一切",
    "אין צורך במורה",
    "emoji 🙂🧠👩‍🔬 and a ZWJ",
    "word " * 254,
    "word " * 255,
    "The attention mechanism looks at every position at once. " * 60,
    "x" * 400,
    "def attend(q, k, v):\n    return (q @ k.T).softmax(-1) @ v",
    "[CLS] [SEP] [PAD] [MASK]",
    "nul\0 byte and \ufffd",
]


@pytest.fixture(autouse=True)
def not_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers takes an imported marimo (the labs' tests) for a notebook, and then wants IPython."""
    monkeypatch.delitem(sys.modules, "marimo", raising=False)


@pytest.fixture(scope="module")
def embedder(model_settings: Settings, minilm_path: Path) -> LocalEmbedder:
    return LocalEmbedder(model_settings)


@pytest.mark.models
def test_parity_with_sentence_transformers(embedder: LocalEmbedder, minilm_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(minilm_path.parent), device="cpu")
    assert reference.max_seq_length == 256
    expected = reference.encode(TEXTS, convert_to_numpy=True, show_progress_bar=False)
    got = embedder.embed(TEXTS)
    assert got.dtype == np.float32
    assert got.shape == (len(TEXTS), embedder.dimension) == (len(TEXTS), 384)
    assert np.abs(got - expected).max() < 1e-5


@pytest.mark.models
def test_order_and_batching_change_nothing(
    embedder: LocalEmbedder, model_settings: Settings, minilm_path: Path
) -> None:
    whole = embedder.embed(TEXTS)
    alone = LocalEmbedder(model_settings, batch_tokens=1).embed(TEXTS)
    backwards = embedder.embed(TEXTS[::-1])[::-1]
    assert np.abs(whole - alone).max() < 1e-6
    assert np.abs(whole - backwards).max() < 1e-6
    assert np.abs(np.linalg.norm(whole, axis=1) - 1).max() < 1e-6
    assert embedder.embed([]).shape == (0, 384)


@pytest.mark.models
@pytest.mark.parametrize(("precision", "least"), [("bf16", 0.9999), ("int8", 0.999)])
def test_rounded_products_stay_near(
    embedder: LocalEmbedder, model_settings: Settings, precision: str, least: float
) -> None:
    if isinstance(build.load(), str):
        pytest.skip(f"no compiled kernels on this machine: {build.load()}")
    settings = model_settings.model_copy(update={"embed_precision": precision})
    rounded = LocalEmbedder(settings)
    texts = [text for text in TEXTS if text.strip()]
    cosines = (rounded.embed(texts) * embedder.embed(texts)).sum(axis=1)
    assert rounded.computed_by == f"compiled kernels, {precision}"
    assert least < cosines.min() < 0.9999999


@pytest.mark.models
def test_near_meanings_are_near(embedder: LocalEmbedder) -> None:
    query, near, far = embedder.embed(
        ["How do I make bread?", "Baking a loaf at home, step by step", "The GPU has 80 GB of memory"]
    )
    assert query @ near > query @ far + 0.3


@pytest.mark.models
def test_threads_take_turns(embedder: LocalEmbedder) -> None:
    expected = embedder.embed(TEXTS[:4])
    rows: list[object] = []
    threads = [threading.Thread(target=lambda: rows.append(embedder.embed(TEXTS[:4]))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows) == 3
    assert all(np.array_equal(np.asarray(row), expected) for row in rows)


def test_without_weights_it_says_how_to_get_them(tmp_path: Path) -> None:
    embedder = open_embedder(Settings(data=tmp_path))
    assert embedder.name == "all-minilm-l6-v2"
    with pytest.raises(ModelUnavailable, match="handbook models get all-minilm-l6-v2"):
        embedder.embed(["text"])
    with pytest.raises(ModelUnavailable):
        _ = embedder.dimension


def test_a_folder_that_holds_no_model(tmp_path: Path) -> None:
    embedder = open_embedder(Settings(embedder=str(tmp_path)))
    with pytest.raises(ModelFileError, match=r"config\.json"):
        _ = embedder.dimension
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelFileError, match="hidden_size"):
        _ = embedder.dimension
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        embedder.embed(["text"])


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 600))
def test_batches_take_every_text_once_and_keep_to_the_budget(lengths: list[int], budget: int) -> None:
    found = list(batches(lengths, budget))
    order = [index for batch in found for index in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[index] for index in order] == sorted(lengths, reverse=True)
    assert all(sum(lengths[index] for index in batch) <= budget or len(batch) == 1 for batch in found)


# --- over HTTP


@pytest.fixture(scope="module")
def server() -> Iterator[State]:
    with serving() as state:
        yield state


@pytest.mark.parametrize("model", ["plain", "shuffled"])
def test_http_gives_unit_vectors_in_order(server: State, model: str) -> None:
    embedder = open_embedder(Settings(embedder=model, embed_url=server.url))
    texts = [f"text {number}" for number in range(300)]
    rows = embedder.embed(texts)
    expected = np.asarray([vector(text) for text in texts], np.float32)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert rows.dtype == np.float32
    assert np.abs(rows - expected).max() < 1e-6
    assert embedder.dimension == 4
    assert embedder.name == model


def test_http_asks_for_the_dimension_where_it_is_not_known_yet(server: State) -> None:
    embedder = HttpEmbedder(server.url, "plain")
    assert embedder.embed([]).shape == (0, 4)
    before = len(server.requests)
    assert embedder.dimension == 4
    assert len(server.requests) == before


@pytest.mark.parametrize(
    ("model", "what"),
    [
        ("unknown", "sent no embeddings from 'unknown'.*does not exist"),
        ("short", "sent 1 vectors for 2 texts"),
        ("zero", "no direction"),
    ],
)
def test_http_faults(server: State, model: str, what: str) -> None:
    with pytest.raises(ModelUnavailable, match=what) as caught:
        HttpEmbedder(server.url, model).embed(["one", "two"])
    assert caught.value.remedy


def test_http_nobody_there() -> None:
    with pytest.raises(ModelUnavailable, match="sent no embeddings") as caught:
        HttpEmbedder("http://127.0.0.1:9/v1", "plain").embed(["one"])
    assert "embed_url" in caught.value.remedy


@pytest.mark.models
class Fixed:
    """An embedder that gives every text one vector."""

    name = "fixed"
    dimension = 4

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[0.5, 0.5, 0.1, 0.7]] * len(texts), np.float32)

    def tokenizer(self) -> str:
        return "its tokenizer"


def test_fewer_dimensions() -> None:
    vectors = np.array([[3, 4, 12], [0, 5, 0]], np.float32)
    assert truncated(vectors, 2).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 1]]
    assert np.linalg.norm(truncated(vectors, 3), axis=1) == pytest.approx([1, 1])
    assert truncated(vectors[:0], 2).shape == (0, 2)
    for dimension in (0, 4):
        with pytest.raises(ValueError, match="1 to 3"):
            truncated(vectors, dimension)
    with pytest.raises(ValueError, match="direction"):
        truncated(vectors, 1)


def test_an_embedder_with_fewer_dimensions(tmp_path: Path) -> None:
    less: Any = Truncated(Fixed(), 2)
    assert (less.name, less.dimension) == ("fixed@2", 2)
    assert less.embed(["a", "b"]) == pytest.approx(np.full((2, 2), 0.5**0.5))
    assert less.tokenizer() == "its tokenizer"
    with pytest.raises(AttributeError):
        _ = less._reader
    with pytest.raises(SettingsError, match="fixed has 4"):
        _ = Truncated(Fixed(), 5).dimension
    opened = open_embedder(Settings(data=tmp_path, embed_dimension=64))
    assert opened.name == "all-minilm-l6-v2@64"
    assert open_embedder(Settings(data=tmp_path)).name == "all-minilm-l6-v2"


def test_the_benchmark_runs_and_finds_the_same_vectors(
    minilm_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(__file__).parent.parent / "bench" / "embeddings.py"
    spec = importlib.util.spec_from_file_location("bench_embeddings", path)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    corpus = tmp_path / "corpus.jsonl"
    rows = [{"text": f"Sentence number {n} is here. And this is another one of them, {n}."} for n in range(4)]
    corpus.write_text("\n".join(map(json.dumps, rows)))
    options = ["--count", "6", "--rounds", "1", "--precisions", "fp32", "auto", "--json"]
    assert bench.main(["--corpus", str(corpus), *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "handbook.bench.embeddings/1"
    assert found["texts"] == 6
    assert found["max_difference"] < 1e-5
    assert found["ratio"] > 0
    assert [way["precision"] for way in found["ways"]] == ["fp32", "auto"]
    assert found["ways"][0]["computed_by"] == "torch, fp32"
    assert all(way["least_cosine"] > 0.99999 for way in found["ways"])
