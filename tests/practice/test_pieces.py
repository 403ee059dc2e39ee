"""An answer in pieces: places are right, and no text makes it slow or wrong."""

import time

import pytest
from grading_stand_ins import QUESTION
from hypothesis import given, settings
from hypothesis import strategies as st

from handbook.practice.evidence import read
from handbook.practice.pieces import READ, SENTENCES, clauses, pairs, sentences
from handbook.practice.quotes import find


def test_sentences_lists_and_lines() -> None:
    answer = "One thing. Another thing!\n- a bullet here\n2) second point\n\nLast, e.g. this one."
    assert [each.text for each in sentences(answer)] == [
        "One thing.", "Another thing!", "a bullet here", "second point", "Last, e.g. this one.",
    ]  # fmt: skip


def test_clauses_of_a_long_sentence() -> None:
    (one,) = sentences(
        "Prefill reads the prompt in one go and is limited by arithmetic, but decode reads all weights."
    )
    assert [each.text for each in clauses(one)] == [
        "Prefill reads the prompt in one go and is limited by arithmetic",
        "but decode reads all weights.",
    ]
    assert clauses(sentences("Short, but fine.")[0]) == []


def test_pairs_stay_in_a_paragraph() -> None:
    answer = "It stays. It is reused.\n\nOther things."
    assert [each.text for each in pairs(sentences(answer), answer)] == ["It stays. It is reused."]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab .,;:!?\n-—'\"()1é漢\t ", max_size=400))
def test_places_hold_for_any_text(answer: str) -> None:
    reading = read(QUESTION, answer)
    for piece in reading.pieces:
        assert answer[piece.start : piece.end] == piece.text
        assert piece.text.strip()


@pytest.mark.parametrize(
    "answer",
    [
        "word " * 10_000,
        "a. " * 16_000,
        "x" * 50_000,
        "(" * 50_000,
        ", and so on" * 4_500,
        "\n" * 50_000,
        "1/" * 25_000,
    ],
    ids=["words", "ends", "one", "brackets", "clauses", "lines", "figures"],
)
def test_fifty_thousand_characters_are_read_in_time(answer: str) -> None:
    begun = time.process_time()
    reading = read(QUESTION, answer)
    assert time.process_time() - begun < 5
    assert all(piece.end <= READ for piece in reading.pieces)
    assert len(reading.sentences) <= SENTENCES


def test_where_a_quote_stands() -> None:
    text = "We said:  \u201cKeys\nand values\u201d don\u2019t change."
    for quote in (
        "Keys\nand values",
        "keys and values",
        '"Keys and values"',
        "don't change",
        "DON'T CHANGE.",
    ):
        place = find(text, quote)
        assert place is not None, quote
    assert text[slice(*(find(text, "keys and values") or (0, 0)))] == "Keys\nand values"
    for quote in ("", " ", "a", "keys or values", "...", "Keys and values never change"):
        assert find(text, quote) is None, quote
