import numpy as np

from handbook.rag.remembered import LONGEST, Remembered
from tests.rag.fakes import HashEmbedder


def test_what_was_embedded_is_kept_and_the_oldest_goes() -> None:
    inner = HashEmbedder()
    held = Remembered(inner, kept=2)
    first = held.embed(["tea", "bread", "tea"])
    assert inner.embedded == ["tea", "bread"]
    assert np.array_equal(first, HashEmbedder().embed(["tea", "bread", "tea"]))
    held.embed(["tea"])  # now bread is the oldest
    held.embed(["salt"])
    held.embed(["tea"])
    assert inner.embedded == ["tea", "bread", "salt"]
    held.embed(["bread"])
    assert inner.embedded == ["tea", "bread", "salt", "bread"]
    assert held.embedded == 4


def test_no_texts_and_endless_ones() -> None:
    inner = HashEmbedder()
    held = Remembered(inner)
    assert held.embed([]).shape == (0, 256)
    held.embed(["x" * 10 * LONGEST])
    assert [len(text) for text in inner.embedded] == [LONGEST]
