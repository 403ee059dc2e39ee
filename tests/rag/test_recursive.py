"""The recursive splitter, the places it cuts at, and semantic-text-splitter beside it."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag import places
from handbook.rag.places import CUTS, trimmed
from handbook.rag.recursive import recursive, split
from handbook.rag.tokens import ByWord, by_word, estimate, plain
from tests.rag.pieces import documents, faults, small_tokenizer, texts, unhurried

PLAIN = plain(small_tokenizer())
WORDS = by_word(small_tokenizer())


def chunks(text: str, limit: int) -> list[str]:
    return [text[span.start : span.end] for span in recursive(text, limit, WORDS)]


def test_by_hand() -> None:
    text = "the cut\n\nThe chunk. The token, the cut, the cut.\n\nthe"
    assert chunks(text, 20) == [text]
    #                      2 tokens     3 and 9
    assert chunks(text, 14) == ["the cut\n\nThe chunk. The token, the cut, the cut.", "the"]
    # The middle paragraph has 12: it falls apart at its sentence, and its end is joined to what follows.
    assert chunks(text, 10) == ["the cut\n\nThe chunk.", "The token, the cut, the cut.\n\nthe"]
    assert chunks(text, 7) == ["the cut\n\nThe chunk.", "The token, the cut,", "the cut.\n\nthe"]
    assert chunks(text, 2)[:4] == ["the cut", "The", "chunk.", "The"]


def test_nothing_comes_of_nothing() -> None:
    assert recursive("", 5) == recursive(" \n\n\t", 5) == []


@unhurried
@given(st.one_of(documents, texts), st.integers(1, 40))
def test_every_character_is_in_one_chunk_within_the_limit(text: str, limit: int) -> None:
    found = [(span.start, span.end) for span in recursive(text, limit, WORDS)]
    assert faults(text, found, limit, PLAIN) == []


@unhurried
@given(documents, st.integers(1, 40))
def test_the_fast_count_cuts_where_the_plain_one_does(text: str, limit: int) -> None:
    text = text.replace("x" * 40, "x" * 20)  # below LETTERS, from where the two count differently
    assert recursive(text, limit, WORDS) == recursive(text, limit, PLAIN)


@unhurried
@given(documents, st.integers(1, 12))
def test_no_two_neighbours_would_fit_together(text: str, limit: int) -> None:
    pieces = split(text, 0, len(text), limit, WORDS.over(text))
    measure = WORDS.over(text)
    assert all(measure(a[0], b[1]) > limit for a, b in pairwise(pieces))


@unhurried
@given(st.one_of(documents, texts), st.data())
def test_places_are_inside_and_in_order(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    for cut in (*CUTS, places.middle):
        found = cut(text, start, end)
        assert found == sorted(set(found))
        assert all(start < place < end for place in found)


def test_where_scripts_without_spaces_are_cut() -> None:
    text = "一二三。四五\uff0c六七。"
    assert chunks(text, 6) == ["一二三。", "四五\uff0c六七。"]
    assert chunks(text, 4) == ["一二三。", "四五\uff0c", "六七。"]
    assert places.sentences(text, 0, len(text)) == [4]
    assert places.clauses(text, 4, len(text)) == [7]
    assert places.sentences("क ख। ग घ॥ च", 0, 11) == [5, 10]


def test_an_accent_stays_with_its_letter() -> None:
    assert places.middle("ae\u0301\u0302bc", 0, 6) == [4]
    assert places.middle("a\u0301\u0302\u0300", 0, 4) == [2]  # nowhere else to go


def test_a_word_longer_than_the_limit_is_halved() -> None:
    assert chunks("x" * 10, 3) == ["xx", "xxx", "xx", "xxx"]


def test_an_indent_stays_and_blank_lines_go() -> None:
    text = "\n \n    if x:\n        y\n\n"
    start, end = trimmed(text, 0, len(text))
    assert text[start:end] == "    if x:\n        y"
    assert trimmed("a \n\n ", 1, 5) == (1, 1)


def test_long_texts_of_every_kind_end() -> None:
    """Linear, or nearly: no rank of places may look at a text again for each of its marks."""
    for part in ("a. ", "A. ", ".", " ", "\n", "\n ", "x", "一", ", ", "é\u0301", "[1] ", ". \n\n", ") ."):
        text = part * (100_000 // len(part))
        found = [(span.start, span.end) for span in recursive(text, 200)]
        assert faults(text, found, 200, estimate()) == []


def test_a_word_without_end_is_read_a_few_times_not_once_a_letter() -> None:
    for part in ("e\u0301", "a\u200b", "x"):
        asked: list[str] = []

        def costs(words: Sequence[str], asked: list[str] = asked) -> list[int]:
            asked.extend(words)
            return [-(-len(word) // 8) for word in words]

        count = ByWord(costs, lambda character: 0 if character.isspace() else 1)
        recursive(part * (40_000 // len(part)), 100, count)
        assert sum(map(len, asked)) < 40 * 40_000
        assert len(asked) < 2_000


def badness(text: str, found: list[tuple[int, int]]) -> int:
    """The sum over all cuts of how bad their place is: 0 after a paragraph, 1 a line, 2 a sentence, 3 a
    clause, 4 a word, 5 a mark, 6 within a word."""
    ranks: dict[int, int] = {}
    for rank, cut in reversed(list(enumerate(CUTS))):
        ranks |= dict.fromkeys(cut(text, 0, len(text)), rank)
    total = 0
    for (_, end), (start, _) in pairwise(found):
        total += min(ranks.get(place, len(CUTS)) for place in range(end, start + 1))
    return total


@pytest.mark.parametrize("limit", [40, 128, 254])
def test_parity_with_semantic_text_splitter(limit: int) -> None:
    """Parity means: within the same limit by the same count, its cuts are in all at no worse places than
    theirs, and there are at most a fiftieth more chunks."""
    from semantic_text_splitter import TextSplitter

    text = _chapter()
    count = estimate()
    ours = [(span.start, span.end) for span in recursive(text, limit, count)]
    theirs = [
        (start, start + len(chunk))
        for start, chunk in TextSplitter.from_callback(count, limit).chunk_indices(text)
    ]
    assert max(count(text[a:b]) for a, b in theirs) <= limit  # the oracle is asked for the same
    assert faults(text, ours, limit, count) == []
    assert badness(text, ours) <= badness(text, theirs)
    assert len(ours) <= 1.02 * len(theirs)


def _chapter() -> str:
    """A chapter of the book: prose, lists, code and tables."""
    root = Path(__file__).parents[2] / "book"
    text = (root / "architectures" / "transformer-deep-dive.md").read_text(encoding="utf-8")
    return text[:60_000]
