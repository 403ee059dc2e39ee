from itertools import product

import numpy as np
import pytest

from handbook.rag.beir import Golden, Text
from handbook.rag.evaluate import Scores, difference, evaluate, scores

JUDGED = {"1": {"a": 1}, "2": {"b": 1, "c": 1}, "3": {"d": 1}}
GOLDEN = Golden(
    "small", {id: Text(id, "") for id in "abcd"}, {"1": "first", "2": "second", "3": "third"}, JUDGED
)


def test_scores_are_kept_by_query_and_nothing_found_counts() -> None:
    found = scores("s", {"1": ["a"], "2": ["x", "b"], "unjudged": ["a"]}, JUDGED, ["R@10", "RR"])
    assert found.values == {"R@10": {"1": 1, "2": 0.5, "3": 0}, "RR": {"1": 1, "2": 0.5, "3": 0}}
    assert found.mean("R@10") == 0.5
    assert np.isnan(found.percentile(0.5))


def test_a_document_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice for query '1'"):
        scores("s", {"1": ["a", "b", "a"]}, JUDGED)


def test_each_stage_is_asked_each_query_and_timed() -> None:
    asked: list[str] = []

    def perfect(text: str) -> list[str]:
        asked.append(text)
        return {"first": ["a"], "second": ["c", "b"], "third": ["d"]}[text]

    best, none = evaluate({"perfect": perfect, "none": lambda text: []}, GOLDEN, ["nDCG@10"], warm=1)
    assert asked == ["first", "first", "second", "third"]
    assert (best.stage, best.mean("nDCG@10"), none.mean("nDCG@10")) == ("perfect", 1, 0)
    assert len(best.seconds) == 3
    assert 0 < best.percentile(0) <= best.percentile(0.5) <= best.percentile(1) < 1


def test_percentiles() -> None:
    assert Scores("s", {}, (1.0, 2.0, 3.0)).percentile(0.5) == 2


def test_a_difference_by_all_resamples() -> None:
    """Three queries have 27 resamples; the share of drawn means below a value nears what all of them say."""
    better, than = {"a": 0.9, "b": 0.5, "c": 0.4}, {"a": 0.3, "b": 0.5, "c": 0.5}
    found = difference(better, than, share=0.5, resamples=20_000)
    every = np.sort([np.mean(drawn) for drawn in product([0.6, 0.0, -0.1], repeat=3)])
    low, high = np.quantile(every, [0.25, 0.75], method="inverted_cdf")
    assert found.mean == pytest.approx(0.5 / 3)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = clear = 0
    for trial in range(200):
        apart = rng.normal(0.1, 0.3, 50)
        ours = {str(query): value for query, value in enumerate(apart)}
        found = difference(ours, dict.fromkeys(ours, 0.0), 0.9, resamples=400, seed=trial)
        held += found.low <= 0.1 <= found.high
        clear += found.clear
    assert 168 <= held <= 192  # 180, and two standard deviations of a count of 200 at 0.9 are 8.5
    assert 100 < clear < 200


def test_pairs_count_not_spreads() -> None:
    """Queries of very different difficulty, each a little better: seen only because they are paired."""
    hard = {str(query): query / 100 for query in range(100)}
    found = difference({query: value + 0.01 for query, value in hard.items()}, hard, resamples=100)
    assert found.clear
    assert (found.low, found.high) == (pytest.approx(0.01), pytest.approx(0.01))
    assert not difference(hard, hard, resamples=100).clear


@pytest.mark.parametrize(
    ("better", "than", "share"), [({}, {}, 0.9), ({"a": 1.0}, {"b": 1.0}, 0.9), ({"a": 1.0}, {"a": 1.0}, 1.0)]
)
def test_what_cannot_be_compared(better: dict[str, float], than: dict[str, float], share: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        difference(better, than, share)
