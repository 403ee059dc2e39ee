"""Smaller forms of vectors: what they keep, what they cost, and what looks through them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from handbook.rag import embedding
from handbook.rag.embedding import Binary, Int8, Whole, nearest, rescored


def units(count: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_by_hand() -> None:
    """0.6 and -0.8 on a scale of 0.8 / 127: codes 95 and -127. Their signs: 10, so a byte of 128."""
    vectors = np.array([[0.6, -0.8], [0.0, 0.0]], np.float32)
    small = Int8.of(vectors)
    assert small.codes.tolist() == [[95, -127], [0, 0]]
    assert small.vectors()[0] == pytest.approx([95 * 0.8 / 127, -0.8])
    assert small.scores(np.array([1, 0], np.float32)) == pytest.approx([95 * 0.8 / 127, 0])
    signs = Binary.of(vectors)
    assert signs.bits.tolist() == [[0b10000000], [0]]
    query = np.array([0.8, 0.6], np.float32)
    assert signs.distances(query).tolist() == [1, 2]
    assert signs.scores(query) == pytest.approx([0.2 / 2**0.5, -1.4 / 2**0.5])
    assert (Whole(vectors).nbytes, small.nbytes, signs.nbytes) == (16, 12, 2)
    assert len(Whole(vectors)) == len(small) == len(signs) == 2


@given(st.integers(0, 9), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_codes_are_the_nearest_and_products_come_without_unpacking(n: int, dimension: int, seed: int) -> None:
    vectors, query = units(n, dimension, seed), units(1, dimension, seed + 1)[0]
    small, signs = Int8.of(vectors), Binary.of(vectors)
    assert (np.abs(small.vectors() - vectors) <= small.scales[:, None] * 0.5001).all()
    assert small.scores(query) == pytest.approx(small.vectors() @ query, abs=1e-5)
    plus_minus = np.where(vectors > 0, 1.0, -1.0)
    assert signs.scores(query) == pytest.approx(plus_minus @ query / dimension**0.5, abs=1e-5)
    assert signs.distances(query).tolist() == ((vectors > 0) != (query > 0)).sum(axis=1).tolist()
    places = np.arange(n)[::-2]
    for form in (Whole(vectors), small, signs):
        assert form.scores(query, places) == pytest.approx(form.scores(query)[places], abs=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, query = units(50, 24), units(1, 24, 7)[0]
    small, signs = Int8.of(vectors), Binary.of(vectors)
    before = small.scores(query), signs.scores(query), signs.distances(query)
    monkeypatch.setattr(embedding, "BLOCK", 7)
    for one, other in zip(
        before, (small.scores(query), signs.scores(query), signs.distances(query)), strict=True
    ):
        assert one == pytest.approx(other, abs=1e-6)


def test_candidates_by_sign_ordered_by_more() -> None:
    vectors, queries = units(2000, 96), units(20, 96, 9)
    queries = (queries + 2 * vectors[:20]) / np.linalg.norm(queries + 2 * vectors[:20], axis=1)[:, None]
    whole, small, signs = Whole(vectors), Int8.of(vectors), Binary.of(vectors)
    truth = [set(nearest(query, whole, 10)) for query in queries]

    def recall(found: list[NDArray[np.intp]]) -> float:
        return float(np.mean([len(true & set(some)) / 10 for true, some in zip(truth, found, strict=True)]))

    eight = recall([nearest(query, small, 10) for query in queries])
    one = recall([rescored(query, signs, 10, rescore=1) for query in queries])
    four = recall([rescored(query, signs, 10) for query in queries])
    finer = recall([rescored(query, signs, 10, small, rescore=10) for query in queries])
    assert eight > 0.95
    assert one < four < finer
    assert list(rescored(queries[0], signs, 5, whole, rescore=400)) == list(nearest(queries[0], whole, 5))
    assert len(rescored(queries[0], Binary.of(vectors[:3]), 10)) == 3
    assert len(nearest(queries[0], Whole(vectors[:0]), 10)) == 0
