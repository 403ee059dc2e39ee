"""Maximal marginal relevance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.diversity import diverse, mmr, plain
from handbook.rag.nouns import Found, Row


def test_by_hand() -> None:
    """0 and 1 say the same; 2 is less relevant and new. At one half, after 0: 0.45 - 0.5 for 1, 0.3 for 2."""
    relevance = [1.0, 0.9, 0.6]
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    assert mmr(relevance, vectors, 3, 0.5) == [0, 2, 1]
    assert mmr(relevance, vectors, 2, 1.0) == [0, 1]
    assert mmr(relevance, vectors, 1, 0.5) == [0]
    assert mmr([0.2, 0.9, 0.9], vectors, 2, 0.0) == [
        0,
        2,
    ]  # novelty alone: the first, then what is not like it
    assert mmr([], np.zeros((0, 2), np.float32), 3) == []


@given(
    st.integers(0, 12).flatmap(
        lambda n: st.tuples(
            st.lists(st.integers(0, 32), min_size=n, max_size=n),
            st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=n, max_size=n),
        )
    ),
    st.integers(0, 14),
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)
def test_equals_the_definition(some: tuple[list[int], list[list[int]]], limit: int, balance: float) -> None:
    # Whole numbers, so that products are exact and ties are ties; the lengths do not matter here.
    relevance = [value / 32 for value in some[0]]
    vectors = np.array(some[1], np.float32).reshape(len(relevance), 4)
    alike = (vectors @ vectors.T).tolist()
    expected = plain(relevance, alike, limit, balance)
    assert mmr(relevance, vectors, limit, balance) == expected
    assert len(set(expected)) == min(limit, len(relevance))


def test_hits_keep_their_scores() -> None:
    hits = [Found(Row(id, id, id, 0, 1), score) for id, score in (("a", 0.033), ("b", 0.032), ("c", 0.03))]
    vectors = np.array([[1, 0], [0.99, 0.141], [0, 1]], np.float32)
    assert [(one.row.id, one.score) for one in diverse(hits, vectors, 2, 0.4)] == [("a", 0.033), ("c", 0.03)]
    by_share = diverse(hits, vectors, 2, 0.7)  # relevant by 1, 0.67 and 0: 0.47 - 0.30 for b, 0 for c
    assert [one.row.id for one in by_share] == ["a", "b"]
    assert diverse([], np.zeros((0, 2), np.float32), 2) == []


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="balance of 0 to 1"):
        mmr([1.0], np.ones((1, 1), np.float32), 1, 1.1)
    with pytest.raises(ValueError, match="expected 2 vectors"):
        mmr([1.0, 0.5], np.ones((1, 1), np.float32), 1)
