"""Chunks that end where the subject changes: where neighbouring sentences are less alike than those around.

TextTiling (Hearst 1997, "TextTiling: Segmenting Text into Multi-paragraph Subtopic Passages", Computational
Linguistics 23(1), section 4) with vectors of sentences in place of counts of words: how alike the sentences
before and after each gap are, and the depth of each valley below the peaks on both sides of it. What counts
as deep is relative to the text: one that keeps to its subject is cut as well, at its own valleys.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from handbook.rag.nouns import Span
from handbook.rag.places import sentences
from handbook.rag.recursive import Piece, spans, split
from handbook.rag.tokens import Count, Ruler, estimate, ruler

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts in, rows of length 1 out, [N, D]."""

DEVIATIONS = 0.5
NOTHING = 1e-6  # a difference of likeness that is rounding
BLOCK = 3  # sentences before a gap, and after it, that are compared


def semantic(
    text: str, limit: int, embed: Embed, count: Count | None = None, deviations: float = DEVIATIONS
) -> list[Span]:
    """Chunks of at most `limit` tokens, in order, that hold every character but white space between them.

    deviations: a valley is a boundary where it is deeper than the mean valley less so many standard
    deviations (0.5 is Hearst's stricter cutoff). A part that is still too long is cut at its deepest gap,
    over and over.
    """
    measure = ruler(text, count or estimate())
    starts = [0, *sentences(text, 0, len(text))]
    places = [*starts, len(text)]
    if len(starts) < 2:
        return spans(text, split(text, 0, len(text), limit, measure))
    deep = depths(likeness(embed([text[start:end].strip() for start, end in pairwise(places)])))
    cuts = [0, *(gap + 1 for gap in valleys(deep, deviations)), len(starts)]
    pieces = [piece for a, b in pairwise(cuts) for piece in _fitted(text, places, deep, a, b, limit, measure)]
    return spans(text, pieces)


def likeness(vectors: NDArray[np.float32]) -> NDArray[np.float32]:  # [U, D] -> [U - 1]
    """The cosine across each gap, between the sums of BLOCK vectors before it and of BLOCK after it."""
    sums = np.concatenate([np.zeros_like(vectors[:1]), np.cumsum(vectors, axis=0, dtype=np.float64)])
    gaps = np.arange(1, len(vectors))
    before = sums[gaps] - sums[np.maximum(gaps - BLOCK, 0)]
    after = sums[np.minimum(gaps + BLOCK, len(vectors))] - sums[gaps]
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    alike: NDArray[np.float32] = ((before * after).sum(axis=1) / np.maximum(norms, 1e-12)).astype(np.float32)
    return alike


def depths(alike: NDArray[np.float32]) -> NDArray[np.float32]:  # [G] -> [G]
    """How far likeness climbs from each gap to the nearest peak on its left and on its right, together."""

    def climbed(values: NDArray[np.float32]) -> NDArray[np.float32]:
        peaks = values.copy()  # the first peak at or before each gap
        for i in range(1, len(values)):
            if values[i - 1] >= values[i]:
                peaks[i] = peaks[i - 1]
        return peaks - values

    total: NDArray[np.float32] = climbed(alike) + climbed(alike[::-1])[::-1]
    return total


def valleys(deep: NDArray[np.float32], deviations: float) -> list[int]:
    """Gaps that are deeper than both neighbours, and than most such gaps."""
    edges = np.concatenate([[-np.inf], deep, [-np.inf]])
    bottoms = np.flatnonzero((deep > NOTHING) & (deep > edges[:-2]) & (deep >= edges[2:]))
    if not len(bottoms):
        return []
    least = deep[bottoms].mean() - deviations * deep[bottoms].std()
    return [int(gap) for gap in bottoms if deep[gap] > least - NOTHING]


def _fitted(
    text: str, places: Sequence[int], deep: NDArray[np.float32], a: int, b: int, limit: int, measure: Ruler
) -> list[Piece]:
    """Sentences a to b as one piece where they fit, else cut at the deepest gap; of equals the middle one."""
    found: list[Piece] = []
    todo = [(a, b)]  # a stack, the next part last
    while todo:
        a, b = todo.pop()
        if measure(places[a], places[b]) <= limit:
            found.append((places[a], places[b]))
        elif b - a == 1:
            found += split(text, places[a], places[b], limit, measure)
        else:
            inner = deep[a : b - 1]
            deepest = np.flatnonzero(inner >= inner.max() - NOTHING)
            cut = a + 1 + int(deepest[np.argmin(np.abs(deepest - (len(inner) - 1) / 2))])
            todo += [(cut, b), (a, cut)]
    return found
