import math
import random
from typing import Any

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.measures import MEASURES, measure

NAMES = ("nDCG@3", "nDCG@10", "nDCG", "R@3", "R@10", "RR@3", "RR", "AP@3", "AP")


def test_a_worked_example() -> None:
    """Relevant: a (grade 2), c (1) and d (1). The ranking has a third, c first, d not at all."""
    grades, ranking = {"a": 2, "c": 1, "d": 1, "b": 0}, ["c", "b", "a", "x"]
    gained = 1 / math.log2(2) + 2 / math.log2(4)
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert measure("nDCG@10")(ranking, grades) == pytest.approx(gained / ideal)
    assert measure("R@2")(ranking, grades) == pytest.approx(1 / 3)
    assert measure("RR")(ranking, grades) == 1
    assert measure("AP")(ranking, grades) == pytest.approx((1 / 1 + 2 / 3) / 3)


def theirs(name: str, ranking: list[str], grades: dict[str, int]) -> float:
    qrels = [ir_measures.Qrel("q", document, grade) for document, grade in grades.items()]
    run = [ir_measures.ScoredDoc("q", document, -rank) for rank, document in enumerate(ranking)]
    parsed: Any = ir_measures.parse_measure(name)
    (found,) = ir_measures.iter_calc([parsed], qrels, run)
    return float(found.value)


@pytest.mark.parametrize("name", NAMES)
def test_ir_measures_says_the_same(name: str) -> None:
    rng = random.Random(name)
    documents = [f"d{number}" for number in range(40)]
    differed = 0
    for _ in range(40):
        grades = {
            document: rng.choice((0, 0, 1, 2, 3)) for document in rng.sample(documents, rng.randint(1, 20))
        }
        ranking = rng.sample(documents, rng.randint(0, 30))
        ours = measure(name)(ranking, grades)
        assert ours == pytest.approx(theirs(name, ranking, grades), abs=1e-9)
        differed += 0 < ours < 1
    assert differed > 5


documents = st.lists(st.sampled_from("abcdefghij"), unique=True)
judged = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(-1, 3))


@given(documents, judged, st.sampled_from(NAMES))
def test_between_nothing_and_the_best_order(ranking: list[str], grades: dict[str, int], name: str) -> None:
    best = sorted(grades, key=lambda document: -grades[document])
    of = measure(name)
    assert 0 <= of(ranking, grades) <= of(best, grades) + 1e-12 <= 1 + 2e-12
    if not any(grade > 0 for grade in grades.values()):
        assert of(ranking, grades) == 0


@pytest.mark.parametrize("name", ["P@3", "nDCG@0", "nDCG@x", "", "ndcg@10"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected one of nDCG"):
        measure(name)
    assert set(MEASURES) == {"nDCG", "R", "RR", "AP"}
