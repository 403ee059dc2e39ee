"""Chunks that ask little of a text: windows of a fixed size, whole sentences; and an overlap for any.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from handbook.rag.nouns import Span
from handbook.rag.places import CUTS, marks, words
from handbook.rag.recursive import spans, split
from handbook.rag.tokens import Count, Ruler, estimate, ruler

_WORD_BEGINS = re.compile(r"(?<=\s)\S")
_SENTENCES_ON = CUTS[2:]  # without paragraphs and lines


def fixed(text: str, limit: int, count: Count | None = None) -> list[Span]:
    """Windows of as many words as `limit` tokens hold, whatever they say: what all else is compared with."""
    measure = ruler(text, count or estimate())
    found: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = _reach(text, start, limit, measure)
        found += split(text, start, end, limit, measure, (marks,))  # one, but for a word that is too long
        start = end
    return spans(text, found)


def _reach(text: str, start: int, limit: int, measure: Ruler) -> int:
    """The end of the longest window from `start`; of its first word at least."""

    def after(place: int) -> int:
        match = _WORD_BEGINS.search(text, place)
        return match.start() if match else len(text)

    size = limit
    while start + size < len(text) and measure(start, after(start + size)) <= limit:
        size *= 2
    ends = range(start + 1, min(start + size, len(text)) + 1)
    fitting = bisect_right(ends, limit, key=lambda place: measure(start, after(place)))
    return after(ends[max(0, fitting - 1)])


def sentences(text: str, limit: int, count: Count | None = None) -> list[Span]:
    """As many whole sentences as `limit` tokens hold, across lines and paragraphs. A sentence that is longer
    is cut at clauses, words and marks."""
    measure = ruler(text, count or estimate())
    return spans(text, split(text, 0, len(text), limit, measure, _SENTENCES_ON))


def overlapped(text: str, chunks: Sequence[Span], overlap: int, limit: int, measure: Ruler) -> list[Span]:
    """The same chunks, each begun up to `overlap` tokens earlier, at a word of the chunk before, and none
    longer than the limit for it."""
    found = list(chunks[:1])
    for before, chunk in pairwise(chunks):
        places = words(text, before.start, chunk.start) or marks(text, before.start, chunk.start)

        def fits(place: int, chunk: Span = chunk) -> bool:
            return measure(place, chunk.start) <= overlap and measure(place, chunk.end) <= limit

        first = bisect_left(places, True, key=fits)
        start = places[first] if first < len(places) else chunk.start
        found.append(replace(chunk, start=start))
    return found
