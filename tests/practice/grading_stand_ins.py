"""Stand-ins for grading tests: a question, vectors of hashed words, an entailer by shared words."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handbook.practice.calibration import Calibration, Logistic
from handbook.practice.evidence import content
from handbook.records import Criterion, FollowUp, Misconception, Question

QUESTION = Question(
    id="cache",
    chapter="architectures/transformer-deep-dive",
    level="senior",
    kind="explain",
    prompt="What happens between the first token and the second token of a long prompt in a transformer?",
    answer="All positions of the prompt are computed in one parallel pass. The keys and values stay in a "
    "cache. Decode is limited by reading the weights from memory. The cache takes about 4.3 GB.",
    criteria=(
        Criterion(
            "pass", "Says that all positions of the prompt are computed in one parallel pass.", 2.0, True
        ),
        Criterion("cached", "Says that keys and values are kept in a cache for later tokens.", 2.0, True),
        Criterion("memory", "Says that decode is limited by reading weights from memory.", 1.0),
        Criterion("size", "Gets about 4.3 GB (4 GiB).", 1.0),
    ),
    misconceptions=(
        Misconception(
            "The whole prompt is computed again for each new token.",
            "Outputs look so.",
            "Keys and values are kept.",
        ),
    ),
    follow_ups=(FollowUp("What if the prompt doubles?", "pass"), FollowUp("And the cache?", "cached")),
    anchor="one-minute-answer",
)

GOOD = (
    "All positions of the prompt are computed together in one parallel pass. Keys and values are kept in a "
    "cache for later tokens. Decode is limited by reading the weights from memory. The cache takes about "
    "4.3 GB."
)


class WordVectors:
    """A text is the sum of its content words' random directions: cosines are shared words."""

    name, dimension = "words", 256

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.stack([self._one(text) for text in texts]) if texts else np.zeros((0, 256), np.float32)
        return rows.astype(np.float32)

    def _one(self, text: str) -> NDArray[np.float64]:
        total = np.zeros(self.dimension)
        for word in [*content(text), "*"]:
            seed = int(hashlib.sha256(word.encode()).hexdigest()[:8], 16)
            total += np.random.default_rng(seed).normal(size=self.dimension)
        return total / np.linalg.norm(total)


class WordEntailer:
    """Says it where most of the statement's words are there; denies it where there is a 'never' as well."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def scores(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        self.pairs += pairs
        rows = []
        for premise, said in pairs:
            wanted = set(content(said)) - {"result"}
            share = len(wanted & set(content(premise))) / max(1, len(wanted))
            says = 12 * (share - 0.6)
            never = "never" in premise.lower() and share > 0.5
            rows.append([-8.0 if never else says, 0.0, 8.0 if never else -8.0])
        return np.array(rows, np.float32).reshape(-1, 3)


def by_says(names: Sequence[str], mistakes: Sequence[str] = ()) -> Calibration:
    """The encoder alone decides."""
    return Calibration(
        Logistic(tuple(names), 2.0, tuple(float(each == "says") for each in names)),
        yes=0.85,
        no=0.5,
        mistake=0.8,
        mistakes=Logistic(tuple(mistakes), 2.0, tuple(float(m == "says") for m in mistakes))
        if mistakes
        else None,
    )


def by_near(names: Sequence[str]) -> Calibration:
    return Calibration(
        Logistic(tuple(names), -6.0, tuple(10.0 * (each == "near") for each in names)), 0.8, 0.3
    )
