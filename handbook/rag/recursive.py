"""The recursive splitter: cut at the best places there are, and at worse ones only where a part is too long.

The rule is the one that LangChain's RecursiveCharacterTextSplitter made common, here on offsets in place of
texts and with whole sentences among the places. What is left over from a part that was cut is joined to what
follows it, where both fit.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Sequence
from itertools import pairwise

from handbook.rag.nouns import Span
from handbook.rag.places import CUTS, Cut, middle, trimmed
from handbook.rag.tokens import Count, Ruler, estimate, ruler

Piece = tuple[int, int]


def recursive(text: str, limit: int, count: Count | None = None) -> list[Span]:
    """Chunks of at most `limit` tokens, in order, that hold every character but white space between them.

    A single character that has more tokens than that is a chunk all the same.
    """
    measure = ruler(text, count or estimate())
    return spans(text, split(text, 0, len(text), limit, measure))


def split(
    text: str, start: int, end: int, limit: int, measure: Ruler, cuts: Sequence[Cut] = CUTS
) -> list[Piece]:
    """text[start:end] as pieces end to end, each of at most `limit` tokens."""
    if measure(start, end) <= limit:
        return [(start, end)]
    cut, worse = (cuts[0], cuts[1:]) if cuts else (middle, ())
    places = cut(text, start, end)
    if not places and not cuts:
        return [(start, end)]
    pieces = pairwise([start, *places, end])
    return join(
        [part for a, b in pieces for part in split(text, a, b, limit, measure, worse)], limit, measure
    )


def join(pieces: Sequence[Piece], limit: int, measure: Ruler) -> list[Piece]:
    """Neighbours made one, from the first on, as long as they have at most `limit` tokens together."""
    joined: list[Piece] = []
    for start, end in pieces:
        if joined and measure(joined[-1][0], end) <= limit:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def spans(text: str, pieces: Sequence[Piece]) -> list[Span]:
    """Pieces as chunks: without the white space around them, and without those that are nothing else."""
    places = (trimmed(text, start, end) for start, end in pieces)
    return [Span(start, end) for start, end in places if start < end]
