import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.fuse import reciprocal_rank_fusion


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
