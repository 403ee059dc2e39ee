"""Lexicon, edits and spelling: a small corpus, and properties over any words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handbook.rag.query.edits import Deletions, deletions, distance, within
from handbook.rag.query.lexicon import Lexicon, inflections
from handbook.rag.query.spelling import Speller

TEXTS = [
    "Attention weighs values by how well queries match keys.",
    "The scheduler preempts a sequence when the cache has no free pages.",
    "Quantization of weights costs accuracy; the cache can be quantized too.",
    "A KV cache holds keys and values.",
    "Attention over long sequences needs memory bandwidth for the KV cache.",
]
some_words = st.text("abcd", min_size=1, max_size=9)


@pytest.fixture(scope="module")
def speller() -> Speller:
    return Speller(Lexicon.of(TEXTS))


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [("kv", "kv", 0), ("atention", "attention", 1), ("qurey", "query", 1), ("ca", "abc", 3), ("", "ab", 2)],
)
def test_distances_by_hand(a: str, b: str, edits: int) -> None:
    """ "ca" to "abc" is 3 where no place is edited twice, 2 where it may be."""
    assert distance(a, b, 5) == distance(b, a, 5) == edits


def test_distances_stop_where_they_are_told() -> None:
    assert distance("attention", "scheduler", 2) == 3
    assert distance("abcdef", "ab", 3) == 4


@given(st.lists(some_words, unique=True, max_size=40), some_words, st.integers(0, 2))
def test_the_index_finds_what_comparing_with_all_does(vocabulary: list[str], word: str, most: int) -> None:
    assert Deletions(vocabulary, 2).within(word, most) == within(word, vocabulary, most)


def test_the_index_refuses_more_edits_than_it_has() -> None:
    with pytest.raises(ValueError, match="at most 1 edits, got 2"):
        Deletions(["cache"], 1).within("cahe", 2)


def test_deletions_by_hand() -> None:
    assert deletions("abc", 1) == {"abc", "bc", "ac", "ab"}
    assert deletions("ab", 2) == {"ab", "a", "b", ""}


def test_a_lexicon_counts_passages_and_knows_forms() -> None:
    lexicon = Lexicon.of(["cache cache", "caches", "cached pages"])
    assert (lexicon.size, lexicon.frequency["cache"], lexicon.count("cache")) == (3, 1, 1)
    assert lexicon.knows("caching")
    assert lexicon.knows("page")
    assert not lexicon.knows("attention")
    assert lexicon.idf("attention") > lexicon.idf("cache")
    both = lexicon.merged(Lexicon.of(["cache"]))
    assert (both.size, both.frequency["cache"]) == (4, 2)
    assert {"stop", "stops", "stopped"} & set(inflections("stopping"))


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("How does atention work?", "How does attention work?"),
        ("Atention and memmory bandwith", "Attention and memory bandwidth"),
        ("what is the kvcache", "what is the kv cache"),
        ("qauntisation of the wieghts", "quantization of the weights"),
    ],
)
def test_misspelt_words_become_the_corpus_words(speller: Speller, typed: str, right: str) -> None:
    spelled = speller.correct(typed)
    assert spelled.text == right
    at = 0
    for one in spelled.corrections:
        assert typed[one.start : one.end] == one.wrong
        assert one.start >= at
        assert one.why
        at = one.end


@pytest.mark.parametrize(
    "typed",
    [
        "Where is `atention_mask` set?",
        "call atention_mask()",
        "see atention.py or src/atention",
        "the QKVs of sequnce2sequnce",
        'the "atention sequnce" cache',
        "--free-pagse and atention=1",
        "caching, cached and quantizing",  # forms of what it has
        "Wie funktioniert die Aufmerksamkeit?",  # another language
        "the horse",  # too far from any word
        "key",
    ],
)
def test_what_may_be_right_stays(speller: Speller, typed: str) -> None:
    assert speller.correct(typed).text == typed


def test_words_that_are_known_elsewhere_stay(speller: Speller) -> None:
    assert speller.correct("a cachet of attention").text == "a cache of attention"
    assert speller.correct("a cachet of attention", {"cachet"}).text == "a cachet of attention"
    known = Speller(Lexicon.of(TEXTS), lambda word: word == "cachet")
    assert known.correct("a cachet of attention").text == "a cachet of attention"


def test_what_was_not_corrected_is_told_with_the_reason(speller: Speller) -> None:
    spelled = speller.correct("what do zebras and ukw do to attention")
    assert dict(spelled.kept) == {"zebras": "no word of the corpus is near", "ukw": "shorter than 4 letters"}


def test_among_near_words_the_more_frequent_wins() -> None:
    texts = ["scale"] * 5 + ["stale"] * 2 + ["other words here"] * 3
    assert Speller(Lexicon.of(texts)).nearest("ssale") == ("scale", "1 edit; 5 passages have 'scale'")


@given(st.text(max_size=60))
def test_any_text_is_taken_and_right_words_are_left(text: str) -> None:
    speller = Speller(Lexicon.of(TEXTS))
    spelled = speller.correct(text)
    assert speller.correct("attention " + text).text.startswith("attention ")
    assert (spelled.text == text) == (not spelled.corrections)
