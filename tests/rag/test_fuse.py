from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.fuse import (
    Normalise,
    min_max,
    reciprocal_rank_fusion,
    weighted_score_fusion,
    within_bounds,
    z_scores,
)


def test_a_worked_example() -> None:
    """By hand: b = 1/62 + 1/61, a = 1/61 + 1/63, c = 1/62, d = 1/63."""
    fused = reciprocal_rank_fusion([["a", "b", "d"], ["b", "c", "a"]])
    assert [item for item, _ in fused] == ["b", "a", "c", "d"]
    assert dict(fused) == pytest.approx(
        {"b": 1 / 62 + 1 / 61, "a": 1 / 61 + 1 / 63, "c": 1 / 62, "d": 1 / 63}
    )


def test_weights_scale_a_ranking() -> None:
    fused = reciprocal_rank_fusion([["a", "b"], ["b", "a"]], k=0, weights=[2, 1])
    assert fused == [("a", 2 + 1 / 2), ("b", 2 / 2 + 1)]
    assert dict(reciprocal_rank_fusion([["a"], ["b"]], weights=[1, 0])) == {"a": 1 / 61, "b": 0.0}


def test_ties_keep_the_order_seen() -> None:
    assert [item for item, _ in reciprocal_rank_fusion([["x", "y"], ["y", "x"]])] == ["x", "y"]


rankings = st.lists(st.lists(st.integers(0, 20), unique=True, max_size=12), min_size=1, max_size=4)


@given(rankings)
def test_one_ranking_comes_back_and_order_of_rankings_does_not_matter(some: list[list[int]]) -> None:
    assert [item for item, _ in reciprocal_rank_fusion(some[:1])] == some[0]
    forward, backward = dict(reciprocal_rank_fusion(some)), dict(reciprocal_rank_fusion(some[::-1]))
    assert forward == pytest.approx(backward)
    assert set(forward) == {item for ranking in some for item in ranking}


@pytest.mark.parametrize(
    ("some", "k", "weights", "says"),
    [
        ([["a"]], 60, [1, 2], "expected 1 weights"),
        ([["a"]], -1, None, "at least 0"),
        ([["a"]], 60, [-1], "at least 0"),
        ([["a", "a"]], 60, None, "once"),
    ],
)
def test_bad_input_says_what_was_expected(
    some: list[list[str]], k: float, weights: list[float] | None, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        reciprocal_rank_fusion(some, k, weights)


def test_scores_brought_to_one_scale() -> None:
    some = np.array([2.0, 4.0, 12.0])
    assert min_max(some).tolist() == [0, 0.2, 1]
    # Mean 6, variance (16 + 4 + 36) / 3.
    assert z_scores(some) == pytest.approx(np.array([-4, -2, 6]) / (56 / 3) ** 0.5)
    assert within_bounds(0)(some) == pytest.approx([1 / 6, 1 / 3, 1])
    assert within_bounds(-1, 1)(np.array([0.0, 0.5, -1])).tolist() == [0.5, 0.75, 0]
    assert within_bounds(0, 1)(np.array([2.0, 0.25, -1])).tolist() == [1, 0.25, 0]
    for way in (min_max, z_scores):
        assert way(np.array([3.0, 3.0])).tolist() == [1, 1]
    assert within_bounds(0)(np.zeros(2)).tolist() == [0, 0]


def test_score_fusion_by_hand() -> None:
    """BM25 10, 5, 0 is 1, 0.5, 0; cosines 0.8, 0.6, 0.4 are 1, 0.5, 0; what a list lacks has its lowest."""
    bm25 = [("a", 10.0), ("b", 5.0), ("c", 0.0)]
    cosines = {"b": 0.8, "d": 0.6, "c": 0.4}
    assert weighted_score_fusion([bm25, cosines]) == [
        ("b", pytest.approx(1.5)),
        ("a", 1.0),
        ("d", pytest.approx(0.5)),
        ("c", 0.0),
    ]
    assert weighted_score_fusion([bm25, cosines], [0, 2])[0] == ("b", 2.0)
    mixed = dict(weighted_score_fusion([bm25, cosines], None, [min_max, within_bounds(-1, 1)]))
    assert mixed == pytest.approx({"a": 1.7, "b": 1.4, "c": 0.7, "d": 0.8})  # a lacks a cosine: the lowest


def test_a_single_hit_counts() -> None:
    """The one passage that has the word asked for beats one that neither list says much of."""
    for way in (min_max, z_scores, within_bounds(0)):
        fused = weighted_score_fusion([{"x": 7.0}, {"y": 0.5, "z": 0.2, "x": 0.3}], [1, 0.5], way)
        assert fused[0][0] == "x"
    assert weighted_score_fusion([{}, {"a": 1.0}]) == [("a", 1.0)]
    assert weighted_score_fusion([]) == []


# Sixteenths: a shift by whole numbers and a stretch by a power of two leave them exact.
scores = st.dictionaries(st.integers(0, 9), st.integers(-800, 800).map(lambda n: n / 16), max_size=8)


@given(st.lists(scores, min_size=1, max_size=3), st.sampled_from([min_max, z_scores]))
def test_neither_a_shift_nor_a_stretch_of_a_list_matters(
    some: list[dict[int, float]], way: Normalise
) -> None:
    moved = [{item: score * 4 + 7 for item, score in one.items()} for one in some]
    there, here = weighted_score_fusion(moved, None, way), weighted_score_fusion(some, None, way)
    assert dict(there) == pytest.approx(dict(here), abs=1e-9)
    alone = some[0]
    kept = [item for item, _ in weighted_score_fusion([alone], None, way)]
    assert kept == sorted(alone, key=lambda item: -alone[item])


@pytest.mark.parametrize(
    ("some", "weights", "ways", "says"),
    [
        ([{"a": 1.0}], [1, 2], min_max, "expected 1 weights"),
        ([{"a": 1.0}], [-1], min_max, "at least 0"),
        ([{"a": 1.0}], None, [min_max, min_max], "expected 1 normalisations"),
        ([{"a": float("nan")}], None, min_max, "finite"),
        ([[("a", 1.0), ("a", 2.0)]], None, min_max, "once"),
    ],
)
def test_scores_that_cannot_be_fused(some: Any, weights: Any, ways: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        weighted_score_fusion(some, weights, ways)
