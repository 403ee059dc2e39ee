from itertools import pairwise
from unicodedata import east_asian_width

from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.nouns import Span
from handbook.rag.places import sentences as sentence_places
from handbook.rag.recursive import recursive
from handbook.rag.tokens import by_word, estimate, plain
from handbook.rag.windows import fixed, overlapped, sentences
from tests.rag.pieces import documents, faults, small_tokenizer, texts, unhurried

PLAIN = plain(small_tokenizer())
WORDS = by_word(small_tokenizer())
TEXT = "The cut. The token\nthe chunk, the cut.\n\nThe the the the the the the."


def test_by_hand() -> None:
    def pieces(spans: list[Span]) -> list[str]:
        return [TEXT[span.start : span.end] for span in spans]

    assert pieces(fixed(TEXT, 6, WORDS)) == [
        "The cut. The token\nthe",
        "chunk, the cut.\n\nThe",
        "the the the the the",
        "the.",
    ]
    assert pieces(sentences(TEXT, 12, WORDS)) == [
        "The cut. The token\nthe chunk, the cut.",
        "The the the the the the the.",
    ]


@unhurried
@given(st.one_of(documents, texts), st.integers(1, 40))
def test_every_character_is_in_one_chunk_within_the_limit(text: str, limit: int) -> None:
    for splitter in (fixed, sentences):
        found = [(span.start, span.end) for span in splitter(text, limit, WORDS)]
        assert faults(text, found, limit, PLAIN) == []


@unhurried
@given(documents, st.integers(1, 40))
def test_the_fast_count_cuts_where_the_plain_one_does(text: str, limit: int) -> None:
    text = text.replace("x" * 40, "x" * 20)
    assert fixed(text, limit, WORDS) == fixed(text, limit, PLAIN)
    assert sentences(text, limit, WORDS) == sentences(text, limit, PLAIN)


@unhurried
@given(documents, st.integers(8, 40))
def test_no_word_more_fits_into_a_window(text: str, limit: int) -> None:
    text = text.replace("x" * 40, "the").replace("一二三。", "the ")
    found = fixed(text, limit, WORDS)
    for span in found[:-1]:
        rest = text[span.end :].split(maxsplit=1)[0]
        assert WORDS(text[span.start : span.end] + " " + rest) > limit


@unhurried
@given(documents, st.integers(12, 40))
def test_whole_sentences_stay_whole(text: str, limit: int) -> None:
    starts = [0, *sentence_places(text, 0, len(text)), len(text)]
    begins = [span.start for span in sentences(text, limit, WORDS)]
    for a, b in pairwise(starts):
        if WORDS(text[a:b]) <= limit:
            assert not any(a < begin < b and text[a:begin].strip() for begin in begins)


@unhurried
@given(documents, st.integers(6, 40), st.integers(0, 5))
def test_overlap(text: str, limit: int, overlap: int) -> None:
    chunks = recursive(text, limit - overlap, WORDS)
    found = overlapped(text, chunks, overlap, limit, WORDS.over(text))
    assert [span.end for span in found] == [span.end for span in chunks]
    for before, chunk, span in zip([None, *chunks], chunks, found, strict=False):
        assert span.start <= chunk.start
        assert WORDS(text[span.start : chunk.start]) <= overlap
        assert WORDS(text[span.start : span.end]) <= limit
        assert before is None or span.start > before.start
        ahead = text[span.start - 1]  # words of Chinese and Japanese have nothing between them
        assert span.start == chunk.start or not ahead.isalnum() or east_asian_width(ahead) in "WF"


def test_overlap_by_hand() -> None:
    chunks = [Span(0, 8), Span(9, 38)]
    (first, second) = overlapped(TEXT, chunks, 3, 100, WORDS.over(TEXT))
    assert (first, TEXT[second.start : second.end]) == (chunks[0], "cut. The token\nthe chunk, the cut.")
    assert overlapped(TEXT, chunks, 3, 9, WORDS.over(TEXT)) == chunks  # no room within the limit


def test_long_texts_of_every_kind_end() -> None:
    for part in ("a. ", ".", " ", "x", "一", "é\u0301", ") ."):
        text = part * (50_000 // len(part))
        for splitter in (fixed, sentences):
            found = [(span.start, span.end) for span in splitter(text, 200)]
            assert faults(text, found, 200, estimate()) == []
