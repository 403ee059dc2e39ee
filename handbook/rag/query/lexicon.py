"""The words of a corpus, and how many passages have each: what spelling, routing and expansion go by."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from handbook.rag.query.english import singular
from handbook.rag.text import words

LARGEST = 1 << 20  # words; a corpus of gibberish must not fill the memory


class Lexicon:
    """Word frequencies of a corpus.

    Args:
        frequency: word, in lower case -> passages that have it.
        size: passages in all.
    """

    def __init__(self, frequency: Mapping[str, int], size: int) -> None:
        if len(frequency) > LARGEST:
            frequency = dict(Counter(frequency).most_common(LARGEST))
        self.frequency = frequency
        self.size = size

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Lexicon":
        """Counted from passages."""
        found: Counter[str] = Counter()
        size = 0
        for text in texts:
            found.update(set(words(text)))
            size += 1
        return cls(found, size)

    def merged(self, other: "Lexicon") -> "Lexicon":
        """Of both corpora together; they share no passage."""
        return Lexicon(Counter(self.frequency) + Counter(other.frequency), self.size + other.size)

    def count(self, word: str) -> int:
        """Passages that have a word or a near form of it (plural, -ed, -ing, -ly)."""
        return max((self.frequency.get(form, 0) for form in inflections(word)), default=0)

    def knows(self, word: str) -> bool:
        return self.count(word) > 0

    def idf(self, word: str) -> float:
        """ln(1 + (N - n + 0.5) / (n + 0.5)), as in BM25; highest for a word that no passage has."""
        n = self.count(word)
        return math.log(1 + (max(self.size, n) - n + 0.5) / (n + 0.5))


def inflections(word: str) -> list[str]:
    """A word and what it may be a form of, or may have as a form: candidates, many of them no words."""
    word = word.lower().removesuffix("'s")
    stems = {word, singular(word)}
    for ending in ("ing", "ed", "er", "ly", "es", "d"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            stem = word.removesuffix(ending)
            stems |= {stem, stem + "e"}
            if stem[-1] == stem[-2]:
                stems.add(stem[:-1])
    grown = {stem + ending for stem in stems for ending in ("s", "es", "d", "ed", "ing", "ly")}
    cut = {stem[:-1] + ending for stem in stems if stem.endswith("e") for ending in ("ing", "ed")}
    return [word, *sorted((stems | grown | cut) - {word})]
