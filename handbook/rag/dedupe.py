"""Stage 7, after fusion: each thing once.

The same text comes several times: copies of a file, boilerplate, chunks that overlap. Three ways to be a
duplicate of a better hit:

    same text  word for word, whatever the case, the punctuation and the white space
    alike      nearly all runs of five words in common: Broder 1997, "On the resemblance and containment of
               documents", section 2
    overlap    much of the same place in the same document

Two texts that differ in a number, a "not" or a sign of comparison are never alike, however long: they
contradict each other, and that is to be seen.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from handbook.rag.nouns import Found, Row

WIDTH = 5  # words of a shingle; one word that differs changes as many shingles
ALIKE = 0.8
OVERLAP = 0.5
Why = Literal["same text", "alike", "overlap"]

# Numbers with their sign; marks that compare or reckon (in code and formulas they are the statement), a
# minus between blanks among them; words.
_APOSTROPHE = r"['\u2019]"
_WORDS = re.compile(
    r"(?<![\w.])[+-]?\d+(?:[.,:]\d+)*"
    r"|[<>=\u2264\u2265\u2260\u2248!%*/^+]+|(?<=\s)[-\u2212](?=\s)"
    rf"|\w+(?:{_APOSTROPHE}\w+)*"
)
_DENIES = re.compile(rf"(?:no|not|none|never|neither|nor|without|cannot|\w+n{_APOSTROPHE}t)\Z")


@dataclass(frozen=True, slots=True)
class Dropped:
    """A hit that a better one stands for. of: the better one's row id."""

    found: Found
    of: str
    why: Why


@dataclass(frozen=True, slots=True)
class Distinct:
    kept: tuple[Found, ...]
    dropped: tuple[Dropped, ...]


def shingles(words: Sequence[str], width: int = WIDTH) -> frozenset[tuple[str, ...]]:
    """All runs of `width` words; of fewer words the one run that they are."""
    if len(words) < width:
        return frozenset({tuple(words)}) if words else frozenset()
    return frozenset(zip(*(words[start:] for start in range(width)), strict=False))


def resemblance(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Share of the shingles of both that both have, 0 to 1; 0 where there are none."""
    common = len(one & other)
    return common / (len(one) + len(other) - common) if common else 0.0


def shared(one: Row, other: Row) -> float:
    """How much of the shorter one lies in the other: 0 to 1, 0 in different documents."""
    if (one.tenant, one.document) != (other.tenant, other.document):
        return 0.0
    common = min(one.end, other.end) - max(one.start, other.start)
    return max(0, common) / max(1, min(one.end - one.start, other.end - other.start))


def said(words: Sequence[str]) -> Counter[str]:
    """What makes one of two alike texts say the contrary: numbers, words that deny, marks that compare."""
    return Counter(word for word in words if not word.isalpha() or _DENIES.match(word))


def distinct(found: Sequence[Found], alike: float = ALIKE, overlap: float = OVERLAP) -> Distinct:
    """Hits, best first -> those that say something that no better one says, and what each other one repeats.

    Args:
        alike: resemblance from which two texts are; above 1 none are.
        overlap: share of the shorter of two places that both have, from which they are one; above 1 none are.
    Raises ValueError where one of them is not above 0.
    """
    if alike <= 0 or overlap <= 0:
        raise ValueError(f"expected alike and overlap above 0, got {alike} and {overlap}")
    kept: list[Found] = []
    dropped: list[Dropped] = []
    texts: dict[tuple[str, ...], str] = {}
    sets: list[frozenset[tuple[str, ...]]] = []
    claims: list[Counter[str]] = []
    having: dict[tuple[str, ...], list[int]] = {}  # shingle -> places in kept
    places: dict[tuple[str, str], list[Row]] = {}

    def repeated(one: Found, words: tuple[str, ...]) -> tuple[str, Why] | None:
        if words and words in texts:
            return texts[words], "same text"
        for row in places.get((one.row.tenant, one.row.document), ()):
            if shared(one.row, row) >= overlap:
                return row.id, "overlap"
        common = Counter(place for shingle in own for place in having.get(shingle, ()))
        for place, number in sorted(common.items()):
            union = len(own) + len(sets[place]) - number
            if number / union >= alike and claim == claims[place]:
                return kept[place].row.id, "alike"
        return None

    for one in found:
        words = tuple(_WORDS.findall(one.row.text.casefold()))
        own, claim = shingles(words), said(words)
        repeats = repeated(one, words)
        if repeats is not None:
            dropped.append(Dropped(one, *repeats))
            continue
        texts.setdefault(words, one.row.id)
        for shingle in own:
            having.setdefault(shingle, []).append(len(kept))
        places.setdefault((one.row.tenant, one.row.document), []).append(one.row)
        sets.append(own)
        claims.append(claim)
        kept.append(one)
    return Distinct(tuple(kept), tuple(dropped))
