"""Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", section 3.4.

A word's list says which texts have it and how often; its length is all that idf needs. The handbook's own
(`handbook.rag.bm25.BM25`, which a test compares) also works out each entry's whole score when the index is
made, because none of it hangs on the query.
"""

import math
from collections import Counter
from collections.abc import Sequence


class BM25:
    """An inverted index. Raises ValueError where k1 or b cannot be."""

    def __init__(self, texts: Sequence[Sequence[str]], k1: float = 1.2, b: float = 0.75) -> None:
        if k1 < 0 or not 0 <= b <= 1:
            raise ValueError(f"expected k1 of at least 0 and b from 0 to 1, got k1={k1}, b={b}")
        self.k1, self.b = k1, b
        self.lengths = [len(text) for text in texts]
        self.average = sum(self.lengths) / max(1, len(texts))
        self.having: dict[str, list[tuple[int, int]]] = {}  # word -> (place, count), one a text that has it
        for place, text in enumerate(texts):
            for word, count in Counter(text).items():
                self.having.setdefault(word, []).append((place, count))

    def search(self, query: Sequence[str], k: int) -> list[tuple[int, float]]:
        """The k best texts that have any of the words, with their scores."""
        scores: dict[int, float] = {}
        for word in query:  # a word that is asked twice counts twice
            found = self.having.get(word, [])
            rarity = math.log(1 + (len(self.lengths) - len(found) + 0.5) / (len(found) + 0.5))
            for place, count in found:
                scores[place] = scores.get(place, 0.0) + rarity * self._worth(place, count)
        return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:k]

    def _worth(self, place: int, count: int) -> float:
        """What `count` occurrences in this text are worth: below k1 + 1, however many there are."""
        length = 1 - self.b + self.b * self.lengths[place] / self.average
        return count * (self.k1 + 1) / (count + self.k1 * length)
