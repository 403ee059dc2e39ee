"""Stage 10, evaluate: what each stage is worth, by a golden set, and whether a difference is one.

A stage is a function from a question to the ids that it ranks, best first; so a stage of the pipeline, the
pipeline up to it, and another system are scored in the same way. Every score is kept by question: a mean says
that something changed, its questions say what.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from handbook.rag.beir import Golden, Judged
from handbook.rag.measures import measure

Rank = Callable[[str], Sequence[str]]
"""A question -> ids of documents, best first."""
Run = Mapping[str, Sequence[str]]
"""By query id: what was ranked for it."""

MEASURED = ("nDCG@10", "R@10", "R@100", "RR@10", "AP@100")
RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Scores:
    """A stage's scores by measure and query, 0 to 1, and the seconds that each query took."""

    stage: str
    values: Mapping[str, Mapping[str, float]]
    seconds: tuple[float, ...] = ()

    def mean(self, name: str) -> float:
        """Over all judged queries: one that the stage found nothing for counts as 0."""
        values = self.values[name]
        return sum(values.values()) / len(values) if values else 0.0

    def percentile(self, share: float) -> float:
        """Seconds that `share` of the queries took at most, 0 to 1; NaN where they were not timed."""
        return float(np.quantile(self.seconds, share)) if self.seconds else float("nan")


def scores(
    stage: str, run: Run, judged: Judged, measures: Sequence[str] = MEASURED, seconds: Sequence[float] = ()
) -> Scores:
    """A run scored. Queries that nobody judged are left out.

    Raises ValueError for a document that a ranking has twice, which would count twice, and for a measure that
    is not known.
    """
    for query in judged:
        if len(set(run.get(query, ()))) != len(run.get(query, ())):
            raise ValueError(f"expected each document once in a ranking, got one twice for query {query!r}")
    values = {
        name: {query: measure(name)(run.get(query, ()), grades) for query, grades in judged.items()}
        for name in measures
    }
    return Scores(stage, values, tuple(seconds))


def evaluate(
    stages: Mapping[str, Rank], golden: Golden, measures: Sequence[str] = MEASURED, warm: int = 3
) -> list[Scores]:
    """Each stage asked every query of a golden set, one at a time.

    warm: the first queries are asked once before, outside the clock.
    """
    found = []
    for stage, rank in stages.items():
        for text in list(golden.queries.values())[:warm]:
            rank(text)
        run, seconds = {}, []
        for query, text in golden.queries.items():
            begin = time.perf_counter()
            run[query] = rank(text)
            seconds.append(time.perf_counter() - begin)
        found.append(scores(stage, run, golden.judged, measures, seconds))
    return found


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one is than another in the mean, with the interval that holds it, at 95 in 100 unless
    another share was asked for."""

    mean: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0: no difference at all is not likely."""
        return self.low > 0 or self.high < 0


def difference(
    better: Mapping[str, float],
    than: Mapping[str, float],
    share: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Mean over the queries of `better` minus `than`, by paired bootstrap.

    Both were asked the same queries, so their difference is taken query by query, and those are drawn again
    with replacement, many times: the middle `share` of the means is the interval. Sakai 2006, "Evaluating
    evaluation metrics based on the bootstrap", section 3; Efron and Tibshirani 1993, "An Introduction to the
    Bootstrap", chapter 13 (the percentile interval). With few queries it is somewhat too narrow.

    Raises ValueError where the queries are not the same, or there are none.
    """
    if not better or set(better) != set(than):
        raise ValueError(f"expected the same queries, at least one, got {len(better)} and {len(than)}")
    if not 0 < share < 1 or resamples < 1:
        raise ValueError(f"expected a share between 0 and 1 and resamples, got {share} and {resamples}")
    apart = np.array([better[query] - than[query] for query in sorted(better)])
    rng = np.random.default_rng(seed)
    drawn = np.array([apart[rng.integers(0, len(apart), len(apart))].mean() for _ in range(resamples)])
    low, high = np.quantile(drawn, [(1 - share) / 2, (1 + share) / 2])
    return Difference(float(apart.mean()), float(low), float(high))
