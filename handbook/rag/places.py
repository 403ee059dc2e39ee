"""Where a text may be cut: at paragraphs, lines, sentences, clauses, words, marks, and anywhere at last.

Each function gives the places strictly inside text[start:end] at which a new part begins, in order. Text is
never changed and nothing is left out: white space stays at the end of the part before.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re
import unicodedata
from collections.abc import Callable

from handbook.rag import sentences as latin

Cut = Callable[[str, int, int], list[int]]

_PARAGRAPH = re.compile(r"\n\s*\n")
_LINE = re.compile(r"\n")
# Sentence ends of scripts that put no space after them (ideographic and full-width marks, then closing ones);
# of Devanagari, Arabic, Urdu and Ethiopic.
_IDEOGRAPHIC = re.compile("[\u3002\uff01\uff1f\uff61][\u300d\u300f\u201d\u2019\uff09]*")
_OTHER_MARKS = re.compile(r"[\u0964\u0965\u061f\u06d4\u1362]\s+")
_CLAUSE = re.compile(r"[,;:\u2014]\s+|[\uff0c\u3001\uff1b\uff1a]")  # ASCII and a long dash, then full-width
_WORD = re.compile(r"\s+")
# Marks that are tokens of their own to every tokenizer (a combining accent or a joiner is not one), and
# ideographs.
_MARK = re.compile(
    r"[!-/:-@\[-`{-~\u00a1\u00a7\u00ab\u00b6\u00b7\u00bb\u00bf\u2010-\u2027\u2030-\u2043\u2045-\u2051]"
    "(?=\\w)|[\u3001-\u3003\u3008-\u3011\uff0c\uff1a\uff1b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
)


def _ends(pattern: re.Pattern[str], text: str, start: int, end: int) -> list[int]:
    return [place for match in pattern.finditer(text, start, end) if start < (place := match.end()) < end]


def paragraphs(text: str, start: int, end: int) -> list[int]:
    """After blank lines."""
    return _ends(_PARAGRAPH, text, start, end)


def lines(text: str, start: int, end: int) -> list[int]:
    return _ends(_LINE, text, start, end)


def sentences(text: str, start: int, end: int) -> list[int]:
    """After sentences, in scripts with and without spaces between them."""
    found = [place for _, place in latin.boundaries(text, start, end)]
    if not text.isascii():
        others = _ends(_IDEOGRAPHIC, text, start, end) + _ends(_OTHER_MARKS, text, start, end)
        found = sorted({*found, *others})
    return found


def clauses(text: str, start: int, end: int) -> list[int]:
    """After commas, colons, semicolons and long dashes."""
    return _ends(_CLAUSE, text, start, end)


def words(text: str, start: int, end: int) -> list[int]:
    """After white space."""
    return _ends(_WORD, text, start, end)


def marks(text: str, start: int, end: int) -> list[int]:
    """After marks within what has no white space, and after ideographs."""
    return _ends(_MARK, text, start, end)


def middle(text: str, start: int, end: int) -> list[int]:
    """Halfway, but not between a letter and its accents; [] where there is nothing to halve."""
    place = half = (start + end) // 2
    while place < end and (text[place] == "\u200d" or unicodedata.category(text[place]).startswith("M")):
        place += 1
    place = place if place < end else half
    return [place] if start < place < end else []


CUTS: tuple[Cut, ...] = (paragraphs, lines, sentences, clauses, words, marks)
"""From the best place to the worst."""


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The same piece without blank lines before and white space after it; an indent stays. Where nothing is
    left, start == end."""
    piece = text[start:end].rstrip()
    lead = len(piece) - len(piece.lstrip())
    return start + piece.rfind("\n", 0, lead) + 1, start + len(piece)
