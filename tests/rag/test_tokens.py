from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE

from handbook.embed import LocalEmbedder
from handbook.rag.tokens import LETTERS, ByWord, by_word, count_of, estimate, of_tokenizer, plain, ruler
from handbook.settings import Settings
from tests.rag.pieces import small_tokenizer, texts, unhurried

PLAIN = plain(small_tokenizer())
WORDS = by_word(small_tokenizer())


def test_by_hand() -> None:
    text = "The tokens, cutting [SEP] 一一"
    #       the token ##s , cut ##t ##ing [ s ##e ##p ] 一 一
    assert WORDS(text) == PLAIN(text) == 14
    measure = WORDS.over(text)
    assert measure(0, 10) == 3
    assert measure(4, 9) == 1  # "token": a part of a word is a word of its own
    assert measure(6, 10) == 4  # "kens": k ##e ##n ##s


@unhurried
@given(texts, st.data())
def test_words_count_what_the_tokenizer_counts(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert WORDS(text) == PLAIN(text)
    assert WORDS.over(text)(start, end) == ruler(text, PLAIN)(start, end) == PLAIN(text[start:end])


@unhurried
@given(st.text(max_size=40))
@example("\xae \xad\x00")  # of one hash, where length is only added to it
def test_and_any_text_whatever(text: str) -> None:
    assert WORDS(text) == PLAIN(text)


def test_many_blocks_and_many_words() -> None:
    text = " ".join(f"cut{i:x} the-tokens" for i in range(20_000))
    assert len(text) > 3 * (1 << 16)
    assert WORDS(text) == PLAIN(text)
    assert WORDS(text) == PLAIN(text)  # from the table this time


def test_a_word_is_asked_once() -> None:
    asked: list[str] = []

    def costs(words: list[str]) -> list[int]:
        asked.extend(words)
        return [1] * len(words)

    count = ByWord(costs, lambda c: 0 if c == " " else 1)
    assert count("one two one") == 3
    assert count("two three") == 2
    assert sorted(asked) == ["one", "three", "two"]


def test_a_character_of_code_zero_is_a_character() -> None:
    by_length = ByWord(lambda words: [len(word) for word in words], lambda c: 0 if c == " " else 1)
    assert [by_length("a a\0 \0a a") for _ in range(2)] == [6, 6]  # asked, then looked up


def test_long_words_that_begin_alike_are_told_apart() -> None:
    ending = ByWord(lambda words: [word.endswith("y") for word in words], lambda c: 0 if c == " " else 1)
    text = "x" * 101 + "y " + "x" * 102
    assert [ending(text) for _ in range(2)] == [1, 1]


def test_an_unknown_word_of_any_length_is_no_single_token() -> None:
    blob = "x" * 200_000
    assert PLAIN(blob) == 1
    assert WORDS(f"the {blob} the") == 2 + len(blob) // LETTERS
    assert WORDS("x" * 400) == 400 // LETTERS
    assert WORDS("x" * 401) == 100  # not read: as many as a word can have that the tokenizer takes
    assert WORDS("the " + "x" * 101 + " " + "y" * 102) == 1 + 101 // LETTERS + 102 // LETTERS


def test_lone_surrogates_count_like_the_mark_that_stands_for_them() -> None:
    assert WORDS("a\ud800b") == PLAIN("a\ud800b") == 3


def test_the_estimate() -> None:
    assert estimate()("Attention is all. 注意") == 2 + 1 + 1 + 1 + 2


def test_count_of_an_embedder() -> None:
    known = count_of(SimpleNamespace(tokenizer=small_tokenizer))  # type: ignore[arg-type]
    assert known("the " * 20) == 20  # not cut off at 8, where its tokenizer ends
    unknown = count_of(SimpleNamespace())  # type: ignore[arg-type]
    assert unknown("unbelievable") == 2


def test_other_tokenizers_are_asked_piece_by_piece() -> None:
    letters = Tokenizer(BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    count = of_tokenizer(letters)
    assert not isinstance(count, ByWord)
    assert count("abab") == 2
    assert ruler("abab", count)(1, 4) == 2


@pytest.mark.models
def test_minilm_counts_by_words(model_settings: Settings, minilm_path: object) -> None:
    tokenizer = LocalEmbedder(model_settings).tokenizer()
    count = of_tokenizer(tokenizer)
    assert isinstance(count, ByWord)
    text = (
        "Retrieval-augmented generation (Lewis et al. 2020) isn't naïve: 注意力, İstanbul, 3.14 \u2014 ok?\n"
        * 40
    )
    assert count(text) == plain(tokenizer)(text) > 256
