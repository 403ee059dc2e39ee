"""Whether the passages answer the question: a logistic model over a few features of the retrieval.

Its weights are data (confidence.json), fitted by `bench/ask.py --fit` on the development half of the question
sets. Platt 1999 ("Probabilistic outputs for support vector machines") for turning scores into a probability
by logistic regression.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from handbook.rag.evidence import Terms
from handbook.rag.rerank import coverage
from handbook.rag.retrieve import subject

NAMES = ("top", "mean3", "coverage", "known")


def features(
    question: str, near: Sequence[float | None], bodies: Sequence[str], terms: Terms
) -> dict[str, float]:
    """What the decision looks at.

    Args:
        near: cosines of the passages that may answer; None for one that was found by words alone.
        bodies: the indexed texts of the best of them, best first.

    Returns:
        top: best cosine. mean3: mean of the three best cosines.
        coverage: share of the question's words, weighted by idf, that the best passage covering most of them
        has (among three). known: share of the question's words, weighted by idf, that the corpus has at all.
    """
    cosines = sorted((cosine for cosine in near if cosine is not None), reverse=True)
    weights = terms.weights(subject(question))
    return {
        "top": cosines[0] if cosines else 0.0,
        "mean3": sum(cosines[:3]) / 3,
        "coverage": max(
            (coverage(weights, frozenset(terms.stems(body))) for body in bodies[:3]), default=0.0
        ),
        "known": coverage(weights, terms.frequency),
    }


@dataclass(frozen=True, slots=True)
class Confidence:
    """p = 1 / (1 + exp(-(bias + sum of weight * feature))).

    support, support_words: cosine and share of words from which a passage carries a sentence.

    embedder: whose cosines the numbers were fitted to.
    """

    embedder: str
    bias: float
    weights: Mapping[str, float]
    support: float
    support_words: float = 0.0

    def of(self, found: Mapping[str, float]) -> float:
        """Probability that the book answers, 0 to 1. Below one half the tutor refuses."""
        z = self.bias + sum(weight * found[name] for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, z))))


@cache
def fitted(name: Literal["confidence", "confidence_corpora"] = "confidence") -> Confidence:
    """Weights that ship with the package: those of the book, or those of anybody's documents."""
    text = resources.files("handbook.rag").joinpath(f"{name}.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return Confidence(data["embedder"], data["bias"], data["weights"], data["support"], data["support_words"])
