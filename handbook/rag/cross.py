"""Stage 8, rerank: the first passages in a better order, by a model that reads each with the question.

What the model says and what retrieval said are both of use and of different scales, so both are brought to
mean 0 and deviation 1 over the passages that are looked at, and added with a weight. Where it finds all
passages equally good it therefore changes nothing.

The one that ships is no default: on what it has never seen it changes nothing for certain (bench/RESULTS.md).
No model is here: `handbook.reranking` has it, behind `Scorer`.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handbook.rag.columns import body
from handbook.rag.nouns import Found

POOL = 20  # passages that are looked at: the time of a question grows with them
WEIGHT = 1.0  # of the model's score, where retrieval's counts 1: best on what bench/reranker.py held out


class Scorer(Protocol):
    """How well each passage fits the question: any scale, higher is better."""

    @property
    def name(self) -> str: ...

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]: ...  # [N]


class Rerank(Protocol):
    """A question and what was found, best first -> the same in a better order."""

    def __call__(self, question: str, found: Sequence[Found]) -> list[Found]: ...


def standard(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores [N] at mean 0 and deviation 1; all 0 where they are equal."""
    wide = scores.astype(np.float64)
    spread = wide.std()
    centred: NDArray[np.float64] = wide - wide.mean()
    return centred / spread if spread > 1e-9 else np.zeros_like(wide)


@dataclass(frozen=True, slots=True)
class Cross:
    """A `Rerank`: scorer's opinion of the first `pool`, blended with the scores that they came with.

    weight: of the scorer's; 0 leaves the order as it is. What is behind the pool stays there. Each passage
    that was looked at has the scorer's score as `rerank`, and the blend as `score`.
    """

    scorer: Scorer
    weight: float = WEIGHT
    pool: int = POOL

    def __post_init__(self) -> None:
        if self.weight < 0 or self.pool < 0:
            raise ValueError(f"expected at least 0, got weight={self.weight}, pool={self.pool}")

    @property
    def name(self) -> str:
        return self.scorer.name

    def __call__(self, question: str, found: Sequence[Found]) -> list[Found]:
        head, tail = found[: self.pool], found[self.pool :]
        if not head:
            return list(found)
        said = self.scorer.scores(question, [body(one.row) for one in head])
        before = standard(np.array([one.score for one in head]))
        blend = before + self.weight * standard(said)
        order = np.argsort(-blend, kind="stable")
        first = [replace(head[i], score=float(blend[i]), rerank=float(said[i])) for i in order]
        least = first[-1].score
        return first + [replace(one, score=least - place) for place, one in enumerate(tail, start=1)]
