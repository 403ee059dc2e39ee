"""Words within some edits of a given one: compared with all, and by an index of deletions.

Distance: insertions, deletions, substitutions and swaps of two neighbours (Damerau 1964, "A technique for
computer detection and correction of spelling errors"), no place edited twice. The index: two words within k
edits share a string that is left when at most k letters of each are deleted (Mor and Fraenkel 1982, "A hash
code method for detecting and correcting spelling errors", section 2; SymSpell goes by the same).
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

PREFIX = 7  # letters of a word that deletions are made of; a longer one's tail is compared only


def distance(a: str, b: str, most: int) -> int:
    """Edits between two words; most + 1 where they are more than `most`."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        above, row = row, [i]
        for j, other in enumerate(b, start=1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most and (i < 2 or min(above) > most):
            return most + 1
        before = above
    return min(row[-1], most + 1)


def within(word: str, vocabulary: Iterable[str], most: int) -> dict[str, int]:
    """Words of a vocabulary with their distances, where these are at most `most`. Compares with each."""
    found = {other: distance(word, other, most) for other in vocabulary}
    return {other: edits for other, edits in found.items() if edits <= most}


class Deletions:
    """The same from an index: sorted hashes of what is left of each word after deletions, each with the
    word's number. 16 bytes an entry; a word of seven letters and more has 29 with two deletions."""

    def __init__(self, vocabulary: Sequence[str], most: int = 2) -> None:
        self.most = most
        self._words = list(vocabulary)
        rests = [
            (hash(rest), n) for n, word in enumerate(self._words) for rest in deletions(word[:PREFIX], most)
        ]
        table = np.array(rests, np.int64).reshape(-1, 2)
        table = table[np.argsort(table[:, 0], kind="stable")]
        self._hashes: NDArray[np.int64] = np.ascontiguousarray(table[:, 0])
        self._numbers: NDArray[np.int64] = np.ascontiguousarray(table[:, 1])

    def within(self, word: str, most: int) -> dict[str, int]:
        """As the function of that name. Raises ValueError for more edits than the index is made for."""
        if most > self.most:
            raise ValueError(f"expected at most {self.most} edits, got {most}")
        rests = np.array([hash(rest) for rest in deletions(word[:PREFIX], most)], np.int64)
        left, right = (np.searchsorted(self._hashes, rests, side) for side in ("left", "right"))
        near = {int(n) for a, b in zip(left, right, strict=True) for n in self._numbers[a:b]}
        return within(word, (self._words[n] for n in sorted(near)), most)


def deletions(word: str, most: int) -> set[str]:
    """What is left of a word after at most so many deletions, the word itself included."""
    rests = layer = {word}
    for _ in range(most):
        layer = set(_shorter(layer))
        rests = rests | layer
    return rests


def _shorter(some: set[str]) -> Iterator[str]:
    for word in some:
        for i in range(len(word)):
            yield word[:i] + word[i + 1 :]
