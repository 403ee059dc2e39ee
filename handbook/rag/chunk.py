"""Stage 2, chunk: a document as pieces that are found and cited, each an exact place in its text.

    fixed      as many words as fit, whatever they say: the baseline
    sentences  as many whole sentences as fit
    recursive  cut at paragraphs, else lines, else sentences, ...
    markdown   cut at headings, then between blocks, then as recursive
    semantic   cut where the subject changes (takes an embedder)

Each gives the places alone; `chunk` also says which titles stand above them and which larger part (parent)
they are of. `late` embeds the chunks of a text that was read whole, wherever it was cut.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from handbook.rag.late import late
from handbook.rag.nouns import Block, Parsed, Row, Span
from handbook.rag.outline import Titles, markdown_blocks
from handbook.rag.places import Cut
from handbook.rag.recursive import recursive
from handbook.rag.semantic import Embed, semantic
from handbook.rag.structure import at, levels, markdown, sections
from handbook.rag.tokens import Count, Once, Ruler, estimate
from handbook.rag.windows import fixed, overlapped, sentences

__all__ = ["chunk", "fixed", "late", "markdown", "recursive", "rows", "semantic", "sentences"]

Method = Literal["fixed", "sentences", "recursive", "markdown", "semantic"]

SIZE = 200  # tokens; with the titles above it, a chunk stays below the 256 that all-MiniLM-L6-v2 reads
PARENT = 800  # tokens
STRETCH = 2_000_000  # characters that are cut at a time: memory is for one stretch, however long the text


def chunk(
    parsed: Parsed,
    method: Method = "markdown",
    limit: int = SIZE,
    overlap: int = 0,
    count: Count | None = None,
    embed: Embed | None = None,
    parent: int = PARENT,
) -> list[Span]:
    """The chunks of a document, in order, with the titles above them and their parents.

    Args:
        limit: tokens of a chunk, at most.
        overlap: tokens of the chunk before that a chunk begins with, at most; they are part of the limit.
        count: tokens of a text; `tokens.count_of(embedder)`, or else an estimate.
        embed: for method semantic.
        parent: tokens of a parent, at most: neighbouring chunks under the same heading. A chunk that is alone
            there has none, and with 0 none has.
    Raises ValueError for an unknown method, for semantic without embed, and for sizes that can't be.
    """
    if method not in get_args(Method):
        raise ValueError(f"expected a method of {', '.join(get_args(Method))}, got {method!r}")
    if not 0 <= overlap < limit:
        raise ValueError(f"expected 0 <= overlap < limit, got an overlap of {overlap} and a limit of {limit}")
    if parent and parent < limit:
        raise ValueError(f"expected a parent of {limit} tokens or more, or of 0 for none, got {parent}")
    if method == "semantic" and embed is None:
        raise ValueError("expected a function that embeds, for method semantic")
    count = count or estimate()
    blocks = parsed.blocks or (markdown_blocks(parsed.text) if parsed.kind == "markdown" else ())
    starts = [block.start for block in blocks]
    titles = Titles(parsed.text, blocks)
    found: list[Span] = []
    for begin, end in stretches(parsed.text):
        text = parsed.text[begin:end]
        once = Once(text, count)
        within = blocks[bisect_left(starts, begin) : bisect_left(starts, end)]
        here = [Block(b.kind, b.start - begin, min(b.end, end) - begin, b.level) for b in within]
        spans = _cut(text, method, limit - overlap, once, here, embed)
        groups = families(text, spans, here, parent, once.over(text))
        above = [titles.over(span.start + begin, span.end + begin) for span in spans]
        if overlap:
            spans = overlapped(text, spans, overlap, limit, once.over(text))
        for first, last in groups:
            family = spans[first:last]
            larger = (family[0].start + begin, family[-1].end + begin) if len(family) > 1 else None
            for span, headings in zip(family, above[first:last], strict=True):
                found.append(Span(span.start + begin, span.end + begin, headings, larger))
    return found


def stretches(text: str, size: int = STRETCH) -> Iterator[tuple[int, int]]:
    """A text in parts of at most `size` characters that end with a paragraph, else a line, else a word."""
    start = 0
    while len(text) - start > size:
        found = (text.rfind(mark, start, start + size) + len(mark) for mark in ("\n\n", "\n", " "))
        end = next((end for end in found if end > start + size // 2), start + size)
        yield start, end
        start = end
    yield start, len(text)


def families(
    text: str, spans: Sequence[Span], blocks: Sequence[Block], parent: int, measure: Ruler
) -> list[tuple[int, int]]:
    """Which neighbours share a parent of at most `parent` tokens, as (first, past the last): whole sections
    where they fit, and within longer ones as many chunks as do."""
    starts = [span.start for span in spans]
    if not parent:
        return [(i, i + 1) for i in range(len(spans))]
    begins = set(starts)

    def only(cut: Cut) -> Cut:
        return lambda text, start, end: [place for place in cut(text, start, end) if place in begins]

    above = [only(cut) for cut in levels(blocks)]
    pieces = sections(text, 0, len(text), parent, measure, above, (at(starts),))
    found = [(bisect_left(starts, start), bisect_left(starts, end)) for start, end in pieces]
    return [(first, last) for first, last in found if first < last]


def rows(parsed: Parsed, spans: Sequence[Span], tenant: str = "") -> list[Row]:
    """Chunks as the index holds them. An id says the tenant and the document (64 bits of a hash) and the
    chunk's number in it, so that the same document gets the same ids again; fields are the document's
    metadata."""
    return [
        Row(
            id=row_id(tenant, parsed.source, number),
            document=parsed.source,
            text=parsed.text[span.start : span.end],
            start=span.start,
            end=span.end,
            title=parsed.title,
            headings=span.headings,
            parent=span.parent,
            page=bisect_right(parsed.pages, span.start),
            kind=parsed.kind,
            language=parsed.language,
            tenant=tenant,
            digest=parsed.digest,
            fields=dict(parsed.metadata),
        )
        for number, span in enumerate(spans)
    ]


def row_id(tenant: str, source: str, number: int) -> str:
    """The id of a document's chunk, by its number in it."""
    key = hashlib.sha256(f"{tenant}\0{source}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{key}-{number}"


def _cut(
    text: str, method: Method, limit: int, count: Count, blocks: Sequence[Block], embed: Embed | None
) -> list[Span]:
    if method == "markdown":
        return markdown(text, limit, count, blocks)
    if method == "semantic":
        assert embed is not None  # `chunk` has looked
        return semantic(text, limit, embed, count)
    return {"fixed": fixed, "sentences": sentences, "recursive": recursive}[method](text, limit, count)
