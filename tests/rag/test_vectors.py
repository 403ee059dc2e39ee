"""Vectors kept by the hash of their text: computed once, in any process."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from handbook.rag import vectors
from handbook.rag.vectors import VectorFile
from tests.rag.fakes import HashEmbedder

TEXTS = ["Tea steeps.", "Bread rises while it rests.", "Tea steeps.", ""]


def test_vectors_are_those_of_the_embedder_and_asked_once(tmp_path: Path) -> None:
    embedder = HashEmbedder()
    told: list[int] = []
    found = VectorFile(tmp_path, embedder).vectors(TEXTS, told.append)
    assert np.array_equal(found, HashEmbedder().embed(TEXTS))
    assert sorted(embedder.embedded) == sorted(set(TEXTS))
    assert told[0] == 1, "one is there twice, so of four texts three are new"
    assert told[-1] == len(TEXTS)
    again = HashEmbedder()
    assert np.array_equal(VectorFile(tmp_path, again).vectors([*TEXTS, "New."])[:4], found)
    assert again.embedded == ["New."]


def test_what_was_embedded_before_a_stop_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "BATCH", 2)
    texts = [f"text {'x' * n}" for n in range(6)]

    def stop(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        VectorFile(tmp_path, HashEmbedder()).vectors(texts, stop)
    embedder = HashEmbedder()
    VectorFile(tmp_path, embedder).vectors(texts)
    assert embedder.embedded == texts[4:]


def test_embedders_do_not_share_vectors(tmp_path: Path) -> None:
    VectorFile(tmp_path, HashEmbedder("one")).vectors(TEXTS)
    other = HashEmbedder("other", 32)
    assert VectorFile(tmp_path, other).vectors(TEXTS).shape == (4, 32)
    assert other.embedded


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "BATCH", 10)
    file = VectorFile(tmp_path, HashEmbedder(), most=40)
    texts = [f"t{n:03}" for n in range(100)]
    file.vectors(texts)
    (path,) = tmp_path.glob("*.db")
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM vector").fetchone()[0] <= 40
    connection.close()
    again = HashEmbedder()
    VectorFile(tmp_path, again, most=40).vectors(texts[-30:])
    assert again.embedded == []


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    VectorFile(tmp_path, HashEmbedder()).vectors(TEXTS)
    (path,) = tmp_path.glob("*.db")
    path.write_bytes(b"not a database at all, but long enough to look like something" * 20)
    embedder = HashEmbedder()
    assert np.array_equal(VectorFile(tmp_path, embedder).vectors(TEXTS), HashEmbedder().embed(TEXTS))
    assert embedder.embedded
