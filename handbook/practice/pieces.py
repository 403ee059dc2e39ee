"""A typed answer cut into pieces that a criterion can be held against: sentences, their clauses, and pairs of
neighbours. Places are offsets in the answer, so a quote can be checked. Pure.

A claim is often half a sentence ("fast, but the cache grows with every token"), and as often two sentences
("Keys stay. The second token reads them."), so one size does not fit; what is judged is the best of them.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from handbook.rag.sentences import spans

READ = 20_000  # characters of an answer that are read: forty minutes of talk
SENTENCES = 160  # that are looked at
LONG = 60  # words in a row without an end; more are cut
WIDE = 800  # characters of a sentence; more are cut
CLAUSES = 12  # words from which a sentence has clauses of its own
LEAST = 3  # words of a clause
PAIR = 70  # words that two neighbours have together at most

_LINE = re.compile(r"[^\n\r\u2028\u2029]+")
_BULLET = re.compile(r"\s*(?:[-*•·\u2013]|\(?\d{1,2}[.)]|[a-z]\))\s+")
_WORD = re.compile(r"\S{1,100}")
_CLAUSE = re.compile(
    r"[;:]\s+|\s+[\u2014\u2013-]\s+|\s*→\s*|,\s+(?=(?:and|but|while|whereas|so|because|which|where|since|though|then|or)\b)"
    r"|\s+(?=(?:but|whereas|because)\s)"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """answer[start:end] is its text. weak: why it can't carry a yes by itself, in words; "" where it can."""

    text: str
    start: int
    end: int
    weak: str = ""


def sentences(answer: str) -> list[Piece]:
    """In order, without white space and list marks around. Reads READ characters, SENTENCES at most."""
    found: list[Piece] = []
    for line in _LINE.finditer(answer, 0, READ):
        bullet = _BULLET.match(line[0])
        begin = line.start() + (bullet.end() if bullet and bullet.end() < len(line[0]) else 0)
        for start, end in spans(answer[begin : line.end()]):
            for left, right in _short(answer, begin + start, begin + end):
                found.append(Piece(answer[left:right], left, right))
                if len(found) == SENTENCES:
                    return found
    return found


def _short(answer: str, start: int, end: int) -> list[tuple[int, int]]:
    """What runs on without an end, in parts of LONG words and WIDE characters."""
    words = list(_WORD.finditer(answer, start, end))
    if len(words) <= LONG and end - start <= WIDE:
        return [(start, end)]
    parts: list[tuple[int, int]] = []
    first, count = words[0].start(), 0
    for word in words:
        if count == LONG or word.end() - first > WIDE:
            first, count = word.start(), 0
        if count:
            parts.pop()
        parts.append((first, word.end()))
        count += 1
    return parts


def clauses(sentence: Piece) -> list[Piece]:
    """The parts of a long sentence that can stand for themselves; they are as weak as it is."""
    if len(sentence.text.split()) < CLAUSES:
        return []
    cuts = [(0, 0), *(cut.span() for cut in _CLAUSE.finditer(sentence.text)), (len(sentence.text),) * 2]
    found = []
    for (_, begin), (stop, _) in pairwise(cuts):
        text = sentence.text[begin:stop]
        if len(text.split()) >= LEAST and len(text) < len(sentence.text):
            start = sentence.start + begin
            found.append(Piece(text, start, start + len(text), sentence.weak))
    return found


def pairs(found: list[Piece], answer: str) -> list[Piece]:
    """Neighbouring sound sentences of one line or paragraph, together."""
    together = []
    for one, other in pairwise(found):
        text = answer[one.start : other.end]
        if not one.weak and not other.weak and "\n\n" not in text and len(text.split()) <= PAIR:
            together.append(Piece(text, one.start, other.end))
    return together
