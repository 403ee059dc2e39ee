"""Chunks along the structure of a document: a section together where it fits, else its parts.

A section is cut at its headings before anything else, then between blocks; lists, tables and code then at
lines, prose at sentences. A heading is never parted from what it stands above. Sections that fit stay apart,
so that a chunk is about one thing, unless they are very short.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from handbook.rag.nouns import Block, BlockKind, Span
from handbook.rag.outline import markdown_blocks
from handbook.rag.places import CUTS, Cut, lines, paragraphs
from handbook.rag.recursive import Piece, spans, split
from handbook.rag.tokens import Count, Ruler, estimate, ruler

SHORT = 4  # a section below a quarter of the limit takes the next one in


def markdown(
    text: str, limit: int, count: Count | None = None, blocks: Sequence[Block] | None = None
) -> list[Span]:
    """Chunks of at most `limit` tokens, in order, that hold every character but white space between them.

    blocks: the text's structure, where a parser has found it; else it is read from the text as Markdown's.
    """
    blocks = markdown_blocks(text) if blocks is None else blocks
    measure = ruler(text, count or estimate())
    return spans(text, sections(text, 0, len(text), limit, measure, levels(blocks), _within(blocks)))


def levels(blocks: Sequence[Block]) -> list[Cut]:
    """Cuts at headings, a level each, the highest first. A heading right below one of a higher level belongs
    to that one."""
    found: dict[int, list[int]] = {}
    for before, block in pairwise((Block("paragraph", 0, 0), *blocks)):
        under = before.kind == "heading" and before.level < block.level
        if block.kind == "heading" and not under:
            found.setdefault(block.level, []).append(block.start)
    return [at(places) for _, places in sorted(found.items())]


def sections(
    text: str, start: int, end: int, limit: int, measure: Ruler, above: Sequence[Cut], within: Sequence[Cut]
) -> list[Piece]:
    """text[start:end] as pieces end to end. above: cuts at headings, the highest first; within: others."""
    if measure(start, end) <= limit:
        return [(start, end)]
    if not above:
        return split(text, start, end, limit, measure, within)
    found: list[Piece] = []
    mergeable = False  # whether the last piece is a whole section, or several, and short
    for a, b in pairwise([start, *above[0](text, start, end), end]):
        if mergeable and measure(found[-1][0], b) <= limit:
            found[-1] = (found[-1][0], b)
        else:
            found += sections(text, a, b, limit, measure, above[1:], within)
        mergeable = found[-1][0] <= a and measure(*found[-1]) * SHORT < limit
    return found


def at(places: Sequence[int]) -> Cut:
    """A cut at these places, which are in order."""
    return lambda text, start, end: list(places[bisect_right(places, start) : bisect_left(places, end)])


def _within(blocks: Sequence[Block]) -> tuple[Cut, ...]:
    """Cuts below headings: between blocks; in code at blank lines; at lines except in prose; then as in any
    text, but never in a heading that something follows."""
    if not blocks:
        return CUTS
    starts = [block.start for block in blocks]

    def after_headings(cut: Cut, *kinds: BlockKind) -> Cut:
        def places(text: str, start: int, end: int) -> list[int]:
            last = blocks[max(0, bisect_left(starts, end) - 1)]  # the others are headings
            if kinds and last.kind not in kinds:
                return []
            return [place for place in cut(text, start, end) if place > last.start]

        return places

    return (
        at([block.start for before, block in pairwise(blocks) if before.kind != "heading"]),
        after_headings(paragraphs, "code"),
        after_headings(lines, "code", "list", "table"),
        *(after_headings(cut) for cut in CUTS if cut not in (paragraphs, lines)),
    )
