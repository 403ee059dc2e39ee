import pytest

from handbook.rag.rerank import coverage
from handbook.records import Hit
from tests.rag.conftest import Open
from tests.rag.fakes import book, chapter, paragraph


def test_coverage_is_a_share_of_weight() -> None:
    weights = {"gluten": 3.0, "bread": 1.0}
    assert coverage(weights, frozenset({"gluten", "tea"})) == 0.75
    assert coverage(weights, frozenset()) == 0.0
    assert coverage({}, frozenset({"gluten"})) == 0.0


def test_the_score_is_the_sum_of_its_four_parts(open_small: Open) -> None:
    """The question is a sentence of the passage: that sentence gives 1 + 1, the whole its cosine and 1."""
    corpus = open_small()
    question = "Gluten is a network of proteins that holds gas."
    vector = corpus.embed(question)
    hit = Hit(corpus.entries["bread-making#knead"].chunk, 0.0)
    (ranked,) = corpus.rerank(question, vector, [hit])
    whole = float(corpus.dense.passage_vectors(hit.chunk.id)[0] @ vector)
    assert ranked.score == pytest.approx(whole + 1 + 1 + 1)
    assert ranked.chunk == hit.chunk


def test_one_sentence_that_says_it_all_beats_words_scattered_over_a_passage(open_small: Open) -> None:
    scattered = (
        "Cold dough rests overnight. Warm ovens brown crusts. Yeast is alive. Slow mixing helps everyone."
    )
    together = "Cold slows yeast down. Crusts brown late and mixing can wait until the morning after."
    corpus = open_small(book(chapter("bread", [paragraph("a", scattered), paragraph("b", together)])))
    question = "cold slow yeast"
    hits = [Hit(corpus.entries[id].chunk, 0.0) for id in ("bread#a", "bread#b")]
    ranked = corpus.rerank(question, corpus.embed(question), hits)
    assert [hit.chunk.anchor for hit in ranked] == ["b", "a"]


def test_code_is_retrieved_too_without_vectors(open_small: Open) -> None:
    from handbook.rag.own import Corpus
    from handbook.rag.passages import book_entries, code_entries
    from tests.rag.fakes import HashEmbedder, small_book

    small = open_small()
    entries = [*book_entries(small_book()), *code_entries()]
    corpus = Corpus(entries, small._store, HashEmbedder())
    hits = corpus.retrieve("reciprocal rank fusion", kinds=["code"])
    assert "handbook.rag.fuse" in {hit.chunk.document for hit in hits[:3]}
    assert all(hit.dense is None for hit in hits)
