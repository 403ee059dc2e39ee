from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from handbook.rag.semantic import depths, likeness, semantic, valleys
from handbook.rag.tokens import by_word, plain
from tests.rag.pieces import documents, faults, small_tokenizer, unhurried

PLAIN = plain(small_tokenizer())
WORDS = by_word(small_tokenizer())


def by_subject(texts: Sequence[str]) -> NDArray[np.float32]:
    """A direction for each subject: sentences with `the`, with `cut`, with neither."""
    which = [0 if "the" in text.lower() else 1 if "cut" in text.lower() else 2 for text in texts]
    return np.eye(3, dtype=np.float32)[which]


def test_by_hand() -> None:
    text = " ".join(["The one."] * 4 + ["A cut."] * 4 + ["Two."] * 4)
    found = [text[span.start : span.end] for span in semantic(text, 100, by_subject, WORDS)]
    assert found == [" ".join(["The one."] * 4), " ".join(["A cut."] * 4), " ".join(["Two."] * 4)]


def test_likeness_and_depths_by_hand() -> None:
    vectors = np.array([[1, 0]] * 4 + [[0, 1]] * 4, np.float32)
    alike = likeness(vectors)
    # Gaps 1, 2 and 3 sentences away from the change see one, two and three strangers of three.
    sides = [1.0, 2 / 5**0.5, 1 / 5**0.5]
    np.testing.assert_allclose(alike, [*sides, 0.0, *sides[::-1]], atol=1e-6)
    np.testing.assert_allclose(
        depths(np.array([0.9, 0.5, 0.7, 0.6, 1.0], np.float32)), [0, 0.6, 0, 0.5, 0], atol=1e-6
    )
    assert valleys(np.array([0, 0.6, 0, 0.5, 0.0, 0.1, 0], np.float32), 0.5) == [1, 3]
    assert valleys(np.array([0, 0.6, 0, 0.5, 0.0, 0.1, 0], np.float32), -0.5) == [1]
    assert valleys(np.array([0, 0.3, 0.6, 0], np.float32), 2.0) == [2]  # the slope is no valley
    assert valleys(np.zeros(5, np.float32), 0.5) == []


@unhurried
@given(documents, st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_every_character_is_in_one_chunk_within_the_limit(text: str, limit: int, seed: int) -> None:
    def at_random(texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.random.default_rng(seed).normal(size=(len(texts), 4)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    found = [(span.start, span.end) for span in semantic(text, limit, at_random, WORDS)]
    assert faults(text, found, limit, PLAIN) == []


def test_one_subject_is_cut_in_halves_where_it_is_too_long() -> None:
    text = "The one. " * 3_000  # 10 tokens each; all gaps are alike, and no recursion is as deep as there are
    found = [(span.start, span.end) for span in semantic(text, 200, by_subject, WORDS)]
    assert faults(text, found, 200, PLAIN) == []
    assert {WORDS(text[a:b]) for a, b in found} <= set(range(60, 201))


@pytest.mark.parametrize("text", ["", " \n", "one", "The cut. The one."])
def test_short_texts(text: str) -> None:
    assert [text[s.start : s.end] for s in semantic(text, 20, by_subject, WORDS)] == [text] * bool(
        text.strip()
    )
