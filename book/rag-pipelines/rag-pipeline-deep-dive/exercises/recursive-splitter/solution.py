"""The rule that LangChain's RecursiveCharacterTextSplitter made common, on offsets in place of texts.

The handbook's own is `handbook.rag.recursive.recursive`, with whole sentences and clauses among the places to
cut and a count that does not read a text again for each question. A test compares the two where they cut at
the same places.
"""

from collections.abc import Callable
from itertools import pairwise

SEPARATORS = ("\n\n", "\n", ". ", " ")  # from best to worst; at last, between any two characters

Piece = tuple[int, int]


def split(text: str, limit: int, count: Callable[[str], int] = len) -> list[Piece]:
    """Places of the chunks. Raises ValueError for a limit below 1."""
    if limit < 1:
        raise ValueError(f"expected a limit of at least 1, got {limit}")

    def pieces(start: int, end: int, separators: tuple[str, ...]) -> list[Piece]:
        if end - start <= 1 or count(text[start:end]) <= limit:
            return [(start, end)]
        cuts = places(text, start, end, separators[0]) if separators else list(range(start + 1, end))
        parts: list[Piece] = []
        for a, b in pairwise([start, *cuts, end]):
            for piece in pieces(a, b, separators[1:]):
                if parts and count(text[parts[-1][0] : piece[1]]) <= limit:
                    parts[-1] = (parts[-1][0], piece[1])
                else:
                    parts.append(piece)
        return parts

    chunks = (trimmed(text, start, end) for start, end in pieces(0, len(text), SEPARATORS))
    return [(start, end) for start, end in chunks if start < end]


def places(text: str, start: int, end: int, separator: str) -> list[int]:
    """Behind each occurrence in text[start:end], but at its end."""
    found: list[int] = []
    at = text.find(separator, start, end)
    while at >= 0:
        at += len(separator)
        if at < end:
            found.append(at)
        at = text.find(separator, at, end)
    return found


def trimmed(text: str, start: int, end: int) -> Piece:
    """The same piece without the white space around it."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), max(start, start + len(piece.rstrip()))
