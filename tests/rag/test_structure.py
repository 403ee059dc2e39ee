"""Chunks along headings and blocks, and semantic-text-splitter's MarkdownSplitter beside them."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.nouns import Block
from handbook.rag.outline import Titles, markdown_blocks
from handbook.rag.structure import markdown
from handbook.rag.tokens import by_word, estimate, plain
from tests.rag.pieces import documents, faults, markdowns, small_tokenizer, texts, unhurried

PLAIN = plain(small_tokenizer())
WORDS = by_word(small_tokenizer())
TEXT = """# The chunk

## The cut

The token. The chunk the token the chunk. The cut.

- the token
- the chunk
- the cut

## The token

the

## The the

the cut
"""


def chunks(text: str, limit: int) -> list[str]:
    return [text[span.start : span.end] for span in markdown(text, limit, WORDS)]


def test_by_hand() -> None:
    assert chunks(TEXT, 100) == [TEXT.strip()]
    first, second = TEXT.partition("- the token")[0].strip(), "- the token\n- the chunk\n- the cut"
    # The first section has 8 and 12 tokens and a list of 9; the second has 5: too few to stand alone.
    tail = "## The token\n\nthe\n\n## The the\n\nthe cut"
    assert chunks(TEXT, 24) == [first, second, tail]
    # The list falls apart at lines, and the paragraph, with the titles above it, at sentences.
    assert chunks(TEXT, 14) == [
        "# The chunk\n\n## The cut\n\nThe token.",
        "The chunk the token the chunk. The cut.",
        second,
        "## The token\n\nthe",
        "## The the\n\nthe cut",
    ]
    assert chunks(TEXT, 8)[-4:] == [
        "- the token\n- the chunk",
        "- the cut",
        "## The token\n\nthe",
        "## The the\n\nthe cut",
    ]


def test_an_empty_section_ends_before_a_higher_heading() -> None:
    text = "## cut\n\n### the\n\n## token\n\nthe the the the the the\n"
    assert chunks(text, 10) == ["## cut\n\n### the", "## token\n\nthe the the the the the"]


def test_a_higher_heading_right_below_a_lower_one_begins_a_section() -> None:
    text = "the the the the\n\n### cut\n\n## token\n\nthe the the the the the\n"
    assert chunks(text, 10) == ["the the the the\n\n### cut", "## token\n\nthe the the the the the"]


def test_no_cut_goes_through_a_heading_that_something_follows() -> None:
    text = "## The cut? The token?\n\nThe the the the the the the. The the."
    assert chunks(text, 12) == ["## The cut? The token?\n\nThe the the the", "the the the. The the."]


def test_code_is_cut_at_blank_lines_then_at_lines_and_keeps_its_indent() -> None:
    text = "```\nthe. The\n    cut\n\n    the\n    the\n```\n"
    assert chunks(text, 10) == ["```\nthe. The\n    cut", "    the\n    the\n```"]


def test_blocks_of_a_parser_are_taken_as_they_are() -> None:
    text = "The cut\nthe the the the\nThe token\nthe the the the"
    blocks = [Block("heading", 0, 7, 1), Block("paragraph", 8, 23), Block("heading", 24, 33, 1)]
    found = markdown(text, 7, WORDS, [*blocks, Block("paragraph", 34, 49)])
    assert [text[span.start : span.end] for span in found] == [text[:23], text[24:]]


@unhurried
@given(st.one_of(markdowns, documents, texts), st.integers(1, 30))
def test_every_character_is_in_one_chunk_within_the_limit(text: str, limit: int) -> None:
    found = [(span.start, span.end) for span in markdown(text, limit, WORDS)]
    assert faults(text, found, limit, PLAIN) == []


@unhurried
@given(markdowns, st.integers(1, 30))
def test_the_fast_count_cuts_where_the_plain_one_does(text: str, limit: int) -> None:
    assert markdown(text, limit, WORDS) == markdown(text, limit, PLAIN)


@unhurried
@given(markdowns, st.integers(8, 30))
def test_what_fits_stays_whole_and_no_heading_stands_at_an_end(text: str, limit: int) -> None:
    found = [(span.start, span.end) for span in markdown(text, limit, WORDS)]
    assert cut_blocks(text, found, limit) == 0
    assert parted_headings(text, found, limit) == 0


def cut_blocks(text: str, found: list[tuple[int, int]], limit: int) -> int:
    """Blocks that fit into a chunk and are in none whole. One below titles counts with them."""
    whole = 0
    blocks = markdown_blocks(text)
    begin: int | None = None
    for block in blocks:
        begin = block.start if begin is None else begin
        if block.kind == "heading":
            continue
        if WORDS(text[begin : block.end]) <= limit:
            whole += not any(start <= block.start and block.end <= end for start, end in found)
        begin = None
    return whole


def parted_headings(text: str, found: list[tuple[int, int]], limit: int) -> int:
    """Chunks that end with a heading whose text begins the next one, though its first line would fit."""
    parted = 0
    blocks = markdown_blocks(text)
    for block, after in pairwise(blocks):
        if (
            block.kind == "heading"
            and after.kind != "heading"
            and WORDS(text[block.start : after.end]) <= limit
        ):
            parted += any(block.start < end <= after.start for _, end in found)
    return parted


@pytest.mark.parametrize("limit", [128, 254])
def test_parity_with_markdown_splitter(limit: int) -> None:
    """Parity means: within the same limit by the same count, no more blocks are cut that would have fitted,
    no more headings parted from what they stand above, no more chunks under two titles at once, and no more
    chunks."""
    from semantic_text_splitter import MarkdownSplitter

    root = Path(__file__).parents[2] / "book"
    text = (root / "architectures" / "transformer-deep-dive.md").read_text(encoding="utf-8")[:60_000]
    count = estimate()
    ours = [(span.start, span.end) for span in markdown(text, limit, count)]
    splitter = MarkdownSplitter.from_callback(count, limit)
    theirs = [(start, start + len(chunk)) for start, chunk in splitter.chunk_indices(text)]
    assert faults(text, ours, limit, count) == []
    titles = Titles(text, markdown_blocks(text))

    def mixed(found: list[tuple[int, int]]) -> int:
        return sum(titles.over(start, start + 1) != titles.over(start, end) for start, end in found)

    assert cut_blocks(text, ours, limit) <= cut_blocks(text, theirs, limit)
    assert parted_headings(text, ours, limit) <= parted_headings(text, theirs, limit)
    assert mixed(ours) <= mixed(theirs)
    assert len(ours) <= len(theirs)
