"""Stage 9, where sources disagree: two sentences of different documents about one thing, with another figure
or of which one denies what the other says.

A narrow net on purpose: both sentences must share nearly all their telling words, so that a difference in
figures is one about the same thing. Contradictions in other words are not seen (that is entailment, Bowman
et al. 2015, "A large annotated corpus for learning natural language inference").

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations

import numpy as np

from handbook.rag.evidence import Passage, Terms
from handbook.rag.support import negated
from handbook.rag.text import words
from handbook.records import Citation, Conflict

NEAR = 0.7  # cosine of two sentences from which they may be about one thing
SHARED = 0.7  # of the weight of the telling words of both that they have in common
LEAST = 3  # telling words that they have in common
MOST = 3  # conflicts that are shown

_UP_TO_TWENTY = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_TENS = words("thirty forty fifty sixty seventy eighty ninety hundred")
_WORDS = {word: str(value) for value, word in enumerate(_UP_TO_TWENTY)} | {
    word: str(10 * value) for value, word in enumerate(_TENS, start=3)
}
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*|[a-z]+", re.IGNORECASE)
_COUNTED = frozenset({"one", "zero"})  # more often a pronoun or a manner of speaking than a figure


def conflicts(
    passages: Sequence[Passage], terms: Terms, answer: Collection[str] | None = None
) -> tuple[Conflict, ...]:
    """Where passages of different sources disagree, the nearest pairs first. answer: only what contradicts
    one of these sentences; None looks at all.
    """
    found: list[tuple[float, Conflict]] = []
    for one, other in combinations(passages, 2):
        if one.source != other.source:
            found += _between(one, other, terms, answer)
    found.sort(key=lambda pair: -pair[0])
    return tuple(conflict for _, conflict in found[:MOST])


def _between(
    one: Passage, other: Passage, terms: Terms, answer: Collection[str] | None
) -> Iterator[tuple[float, Conflict]]:
    cosines = one.vectors[1:] @ other.vectors[1:].T
    for i, j in zip(*np.nonzero(cosines >= NEAR), strict=True):
        if i in one.orders or j in other.orders:
            continue
        a, b = one.texts[i], other.texts[j]
        if answer is not None and a not in answer and b not in answer:
            continue
        about = _subject(a, b, terms)
        why = _difference(a, b) if about else ""
        if why:
            near = float(cosines[i, j])
            yield near, Conflict(Citation(one.chunk, near), Citation(other.chunk, near), about, why)


def _subject(a: str, b: str, terms: Terms) -> str:
    """What both sentences are about, in the words of the first; "" where that is not the same."""
    left, right = _telling(a, terms), _telling(b, terms)
    both = left.keys() & right.keys()
    weight = sum({**left, **right}.values())
    if len(both) < LEAST or sum(left[stem] for stem in both) < SHARED * weight:
        return ""
    kept = [word for word in re.findall(r"[\w'-]+", a) if set(terms.stems(word)) & both]
    return " ".join(dict.fromkeys(kept))


def _telling(text: str, terms: Terms) -> dict[str, float]:
    """Weights of a sentence's stems, without figures."""
    plain = " ".join(word for word in re.findall(r"[^\W\d_][\w'-]*", text) if word.lower() not in _WORDS)
    return terms.weights(plain)


def _difference(a: str, b: str) -> str:
    """How two sentences about one thing differ, "" where they don't say otherwise."""
    left, right = figures(a), figures(b)
    if left != right and len(left) == len(right):
        return f"one says {_listed(left - right)}, the other {_listed(right - left)}"
    if left == right and negated(a) != negated(b):
        return "one denies what the other says"
    return ""


def figures(text: str) -> frozenset[str]:
    """The numbers of a sentence, those in words as figures; thousands without separators."""
    found = set()
    for word in _NUMBER.findall(text):
        if word[0].isdigit():
            found.add(re.sub(r",(?=\d{3}\b)", "", word))
        elif word.lower() in _WORDS and word.lower() not in _COUNTED:
            found.add(_WORDS[word.lower()])
    return frozenset(found)


def _listed(values: frozenset[str]) -> str:
    return " and ".join(sorted(values, key=lambda value: (len(value), value)))
