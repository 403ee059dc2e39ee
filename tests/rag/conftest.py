from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handbook.rag.own import Corpus
from handbook.rag.passages import book_entries
from handbook.rag.store import Store
from tests.rag.fakes import HashEmbedder, small_book

Open = Callable[..., Corpus]


@pytest.fixture
def open_small(tmp_path: Path) -> Open:
    """Opens a corpus of a (small) book in this test's folder; called again it opens the same store again."""

    def open_it(book: Any = None, embedder: Any = None) -> Corpus:
        entries = list(book_entries(book or small_book()))
        store = Store(str(tmp_path / "index"), tmp_path / "index.lock")
        return Corpus(entries, store, embedder or HashEmbedder())

    return open_it
