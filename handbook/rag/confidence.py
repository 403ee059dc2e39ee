"""Whether the passages answer the question: a logistic model over a few features of the retrieval.

Its weights are data (confidence.json), fitted by `bench/ask.py --fit` on the development half of the question
sets. Platt 1999 ("Probabilistic outputs for support vector machines") for turning scores into a probability
by logistic regression.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from handbook.rag.rerank import coverage
from handbook.rag.retrieve import subject
from handbook.rag.text import Vocabulary
from handbook.records import Hit

NAMES = ("top", "mean3", "coverage", "known")


def features(
    question: str, hits: Sequence[Hit], bodies: Sequence[str], vocabulary: Vocabulary
) -> dict[str, float]:
    """What the decision looks at.

    Args:
        hits: passages that may answer, best first, with both scores.
        bodies: their indexed texts, in the same order.

    Returns:
        top: best cosine. mean3: mean of the three best cosines.
        coverage: share of the question's words, weighted by idf, that the best passage covering most of them
        has (among three). known: share of the question's words, weighted by idf, that the corpus has at all.
    """
    cosines = sorted((hit.dense for hit in hits if hit.dense is not None), reverse=True)
    weights = vocabulary.weights(subject(question))
    return {
        "top": cosines[0] if cosines else 0.0,
        "mean3": sum(cosines[:3]) / 3,
        "coverage": max(
            (coverage(weights, frozenset(vocabulary.stems(body))) for body in bodies[:3]), default=0.0
        ),
        "known": coverage(weights, frozenset(vocabulary.frequency)),
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
def fitted() -> Confidence:
    """The weights that ship with the package."""
    text = resources.files("handbook.rag").joinpath("confidence.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return Confidence(data["embedder"], data["bias"], data["weights"], data["support"], data["support_words"])
