"""How good a ranking is: nDCG, recall, reciprocal rank and average precision of one question.

As trec_eval computes them: a document that nobody judged counts as not relevant, a grade of 1 or more is
relevant, and a grade is its own gain. All lie between 0 and 1, and are 0 where nothing is relevant.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence

Grades = Mapping[str, int]
Measure = Callable[[Sequence[str], Grades], float]
"""A ranking of documents, best first and each once, and the grades of those that were judged."""

_NAME = re.compile(r"([A-Za-z]+)(?:@([1-9]\d*))?")


def ndcg(ranking: Sequence[str], grades: Grades, k: int) -> float:
    """Normalised discounted cumulative gain: sum of grade / log2(rank + 1) over the first k, as a share of
    what the best order of all judged documents has.

    Järvelin and Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", sections 2.1 and 2.3,
    with the discount at each rank that trec_eval has.
    """
    ideal = _discounted(sorted(grades.values(), reverse=True)[:k])
    return _discounted([grades.get(document, 0) for document in ranking[:k]]) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], grades: Grades, k: int) -> float:
    """Share of the relevant documents that are among the first k."""
    relevant = _relevant(grades)
    return len(relevant & set(ranking[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], grades: Grades, k: int) -> float:
    """1 / rank of the first relevant document; 0 where none is among the first k."""
    relevant = _relevant(grades)
    return next((1 / rank for rank, found in enumerate(ranking[:k], start=1) if found in relevant), 0.0)


def average_precision(ranking: Sequence[str], grades: Grades, k: int) -> float:
    """Mean over the relevant documents of the precision where each stands; 0 for one that is not among the
    first k. Buckley and Voorhees 2000, "Evaluating evaluation measure stability", section 2."""
    relevant = _relevant(grades)
    ranks = [rank for rank, found in enumerate(ranking[:k], start=1) if found in relevant]
    hits = sum(count / rank for count, rank in enumerate(ranks, start=1))
    return hits / len(relevant) if relevant else 0.0


MEASURES = {"nDCG": ndcg, "R": recall, "RR": reciprocal_rank, "AP": average_precision}


def measure(name: str) -> Measure:
    """The measure that a name means, in the notation of ir-measures: nDCG@10, R@100, RR, AP.

    Raises ValueError for another name.
    """
    parts = _NAME.fullmatch(name)
    if parts is None or parts[1] not in MEASURES:
        raise ValueError(f"expected one of {', '.join(MEASURES)}, with a cut such as @10, got {name!r}")
    of, cut = MEASURES[parts[1]], int(parts[2]) if parts[2] else sys.maxsize
    return lambda ranking, grades: of(ranking, grades, cut)


def _relevant(grades: Grades) -> set[str]:
    return {document for document, grade in grades.items() if grade > 0}


def _discounted(gains: Sequence[int]) -> float:
    """Of ranks from 1. A grade below 0 gains nothing."""
    return sum(max(gain, 0) / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
