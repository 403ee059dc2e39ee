"""BM25: how well a text matches words, by how often it has them, how rare they are and how long it is.

Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", section 3.4. For each
word of the query that the text has:

    ln(1 + (N - n + 0.5) / (n + 0.5)) x tf (k1 + 1) / (tf + k1 (1 - b + b length / average length))

with N texts, n of which have the word, tf times in this one. Two things to know: the second factor never
exceeds k1 + 1, so a word said often does not drown the others; and b says how far a long text is held to say
more only because it is long. The 1 inside the logarithm, which the paper does not have, keeps words in more
than half of the texts from counting against a text; Lucene and Lance have it. The factor k1 + 1 changes no
order.

Texts come as their words, in whatever way they were cut (`handbook.rag.text.words`, stems, ...). The app's
full text is Lance's; this one shows what that computes.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

K1 = 1.2
B = 0.75


def idf(having: int, texts: int) -> float:
    """How telling a word is that `having` of `texts` have."""
    return math.log(1 + (texts - having + 0.5) / (having + 0.5))


def saturation(count: float, length: float, average: float, k1: float = K1, b: float = B) -> float:
    """What `count` occurrences in a text of `length` words are worth: 0 to k1 + 1."""
    return count * (k1 + 1) / (count + k1 * (1 - b + b * length / average)) if count else 0.0


def score(
    query: Sequence[str], text: Sequence[str], texts: Sequence[Sequence[str]], k1: float = K1, b: float = B
) -> float:
    """BM25 of one text of a collection, from nothing: the plain version, slow and to be read.

    A word that the query has twice counts twice.
    """
    average = sum(map(len, texts)) / len(texts)
    counts = Counter(text)
    total = 0.0
    for word in query:
        having = sum(word in other for other in texts)
        total += idf(having, len(texts)) * saturation(counts[word], len(text), average, k1, b)
    return total


class BM25:
    """The same for all texts at once: each word's texts, with what the word is worth in each, in one run.

    All of a score that does not hang on the query is worked out when the index is made (Lù 2024, "BM25S:
    Orders of Magnitude Faster Lexical Search via Eager Sparse Scoring", section 2); a search adds up runs.

    Args:
        texts: the words of each text. None at all is allowed, and so are empty ones.

    Raises ValueError where k1 is negative or b is not between 0 and 1.
    """

    def __init__(self, texts: Sequence[Sequence[str]], k1: float = K1, b: float = B) -> None:
        if k1 < 0 or not 0 <= b <= 1:
            raise ValueError(f"expected k1 of at least 0 and b from 0 to 1, got k1={k1}, b={b}")
        self.size = len(texts)
        numbers: dict[str, int] = {}
        found: list[tuple[int, int, int]] = []  # word, text, count
        for place, text in enumerate(texts):
            for word, count in Counter(text).items():
                found.append((numbers.setdefault(word, len(numbers)), place, count))
        triples = np.array(found, np.int64).reshape(-1, 3)
        words, places, counts = triples[np.argsort(triples[:, 0], kind="stable")].T
        having = np.bincount(words, minlength=len(numbers))
        lengths = np.array([len(text) for text in texts], np.float64)
        share = lengths / lengths.mean() if lengths.sum() else lengths
        tf = counts * (k1 + 1) / (counts + k1 * (1 - b + b * share[places]))
        rarity = np.log(1 + (self.size - having + 0.5) / (having + 0.5))
        self._numbers = numbers
        self._starts = np.concatenate([[0], np.cumsum(having)])
        self._texts = places
        self._worth = rarity[words] * tf

    def scores(self, query: Sequence[str]) -> NDArray[np.float64]:  # [N]
        """BM25 of every text; words that no text has count nothing."""
        total = np.zeros(self.size)
        for word, times in Counter(query).items():
            number = self._numbers.get(word)
            if number is not None:
                run = slice(self._starts[number], self._starts[number + 1])
                total[self._texts[run]] += times * self._worth[run]  # a run has each text once
        return total

    def search(self, query: Sequence[str], k: int) -> list[tuple[int, float]]:
        """The k best texts that have any of the words: (place, BM25), best first, equal ones in order."""
        total = self.scores(query)
        matched = np.flatnonzero(total)
        if len(matched) > k:
            least = np.partition(total[matched], -k)[-k] if k else np.inf
            matched = matched[total[matched] >= least]
        best = matched[np.argsort(-total[matched], kind="stable")][:k]
        return [(int(place), float(total[place])) for place in best]
