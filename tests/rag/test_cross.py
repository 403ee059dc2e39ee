"""Blending a model's scores with retrieval's."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from handbook.rag.cross import Cross, standard
from handbook.rag.nouns import Found, Row


class Said:
    """A scorer that says what it is told to, and remembers what it was asked."""

    name = "said"

    def __init__(self, *values: float) -> None:
        self.values = np.array(values, np.float32)
        self.asked: list[str] = []

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        self.asked = [question, *passages]
        return self.values


def found(*scores: float) -> list[Found]:
    rows = [Row(str(i), "d", f"text {i}", 0, 6, title="Title") for i in range(len(scores))]
    return [Found(row, score, dense=score) for row, score in zip(rows, scores, strict=True)]


def ids(hits: Sequence[Found]) -> str:
    return "".join(hit.row.id for hit in hits)


def test_by_hand() -> None:
    """Scores 3, 2, 1 are 1.22, 0, -1.22 standardised; the model's 0, 0, 3 are -0.71, -0.71, 1.41."""
    hits = Cross(Said(0, 0, 3), weight=1.0)("q", found(3, 2, 1))
    assert ids(hits) == "021"
    assert [hit.score for hit in hits] == pytest.approx([0.518, 0.189, -0.707], abs=1e-3)
    assert [hit.rerank for hit in hits] == [0, 3, 0]
    assert ids(Cross(Said(0, 0, 3), weight=4.0)("q", found(3, 2, 1))) == "201"


def test_without_weight_or_opinion_the_order_stays() -> None:
    assert ids(Cross(Said(1, 2, 3), weight=0.0)("q", found(3, 2, 1))) == "012"
    assert ids(Cross(Said(5, 5, 5), weight=9.0)("q", found(3, 2, 1))) == "012"
    assert ids(Cross(Said(1, 2, 3), weight=1.0)("q", found(2, 2, 2))) == "210"


def test_what_is_behind_the_pool_stays_behind_it() -> None:
    scorer = Said(0, 9)
    hits = Cross(scorer, weight=4.0, pool=2)("why", found(4, 3, 2, 1))
    assert ids(hits) == "1023"
    assert scorer.asked == ["why", "Title. text 0", "Title. text 1"], "titles are read, and the pool alone"
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert hits[2].rerank is None
    assert hits[2].dense == 2


def test_nothing_found_asks_nothing() -> None:
    scorer = Said()
    assert Cross(scorer)("why", []) == []
    assert scorer.asked == []


def test_standard_of_equal_scores() -> None:
    assert standard(np.array([2.0, 2.0])).tolist() == [0, 0]
    assert standard(np.array([1.0, 3.0])).tolist() == [-1, 1]


@pytest.mark.parametrize("wrong", [{"weight": -1.0}, {"pool": -1}])
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Cross(Said(), wrong.get("weight", 1.0), int(wrong.get("pool", 1)))
