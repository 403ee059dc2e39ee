from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handbook.embed import LocalEmbedder
from handbook.rag.late import late
from handbook.rag.nouns import Span
from handbook.rag.recursive import recursive
from handbook.rag.tokens import count_of, estimate
from handbook.settings import Settings

Read = tuple[NDArray[np.intp], NDArray[np.float32]]


def letters(text: str) -> Read:
    """A token a word; its vector says its first letter, and how many words stand before it."""
    places, vectors = [(0, 0)], [[9.0, 9.0, 9.0]]
    for word in text.split():
        start = text.index(word, places[-1][1])
        places.append((start, start + len(word)))
        vectors.append([word[0] == "a", word[0] == "b", len(places) - 2.0])
    return np.array(places), np.array(vectors, np.float32)


def test_by_hand() -> None:
    text = "a a b. a b"
    found = late(text, [Span(0, 6), Span(7, 10)], letters, window=99)
    # Means over the words of each chunk, [CLS] left out; places 0 to 2, and 3 and 4.
    expected = np.array([[2 / 3, 1 / 3, 1.0], [0.5, 0.5, 3.5]])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)


def test_windows_take_whole_chunks_and_read_some_of_the_one_before() -> None:
    read: list[str] = []

    def reading(text: str) -> Read:
        read.append(text)
        return letters(text)

    text = "a1 a2 a3 b1 b2 b3 a4 a5 b4"
    chunks = [Span(0, 8), Span(9, 17), Span(18, 23), Span(24, 26)]
    found = late(text, chunks, reading, window=8, context=2)  # an estimate: each word is a token
    assert read == ["a1 a2 a3 b1 b2 b3", "b2 b3 a4 a5 b4"]
    expected = np.array([[1, 0, 1], [0, 1, 4], [1, 0, 2.5], [0, 1, 4]])  # words are numbered in each window
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    assert len(late(text, chunks, letters, window=1)) == 4
    assert late(text, [], letters, window=8).shape[0] == 0


def test_a_chunk_without_a_token_has_its_windows_mean() -> None:
    found = late(
        "a a \u200b", [Span(0, 3), Span(4, 5)], lambda text: letters(text.replace("\u200b", "")), window=9
    )
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


@pytest.mark.models
def test_minilm_reads_on(model_settings: Settings, minilm_path: Path) -> None:
    """A chunk that is the whole text has the text's own vector; one that begins with `It` comes nearer to
    its subject than alone (the paper's example, in kind)."""
    embedder = LocalEmbedder(model_settings)
    text = (
        "Berlin is the capital and largest city of Germany. Its more than 3.85 million inhabitants make it "
        "the European Union's most populous city. The city is also one of the states of Germany."
    )
    count = count_of(embedder)
    (whole,) = late(text, [Span(0, len(text))], embedder.token_vectors, 254, count)
    plain, alone, asked = embedder.embed([text, text[51:138], "Berlin"])
    # The embedder's mean has [CLS] and [SEP] in it.
    assert float(whole @ plain) > 0.98
    chunks = recursive(text, 25, count)
    assert text[chunks[1].start :].startswith("Its more")
    in_context = late(text, chunks, embedder.token_vectors, 254, count)[1]
    assert float(in_context @ asked) > float(alone @ asked) + 0.1


def test_estimates_are_what_windows_are_measured_by() -> None:
    assert estimate()("a1 a2") == 2
