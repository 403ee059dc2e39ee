"""What the RAG lab measures, by hand; and the shapes of what it shows."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from handbook.book.load import open_book
from handbook.errors import DataUnavailable, HandbookError
from handbook.lab.rag import (
    answering,
    chapters,
    chunking,
    embedding,
    looks,
    packing,
    parsing,
    reranking,
    retrieval,
    scoring,
    subjects,
    understanding,
)
from handbook.rag import support
from handbook.rag.beir import Text, golden
from handbook.rag.nearest.curve import Point
from handbook.rag.query.lexicon import Lexicon
from handbook.records import Sentence, Step


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> subjects.Subject:
    """Three documents on two axes, and two questions that lie on them."""
    texts = {"a": Text("", "tea leaves steep"), "b": Text("", "bread dough"), "c": Text("", "tea and bread")}
    found = golden(
        "three", texts, {"q": "steep tea leaves", "r": "bread"}, {"q": {"a": 1}, "r": {"b": 1, "c": 1}}
    )
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    monkeypatch.setattr(subjects, "embed", lambda texts: np.eye(2, dtype=np.float32)[: len(texts)])
    return subjects.Subject(found, vectors)


@pytest.fixture
def as_set(three: subjects.Subject, monkeypatch: pytest.MonkeyPatch) -> Iterator[subjects.Subject]:
    for module in (retrieval, embedding, understanding, scoring, packing):
        monkeypatch.setattr(module, "subject", lambda name, small=True: three)
    kept = (understanding.speller, understanding._three, scoring._apart, scoring._settings)
    for one in kept:
        one.cache_clear()
    yield three
    for one in kept:
        one.cache_clear()


def test_both_sides_of_a_small_set(as_set: subjects.Subject) -> None:
    assert [id for id, _ in as_set.dense["q"]] == ["a", "c", "b"]
    assert [id for id, _ in as_set.lexical["q"]] == ["a", "c"]
    assert as_set.lexical["r"][0][0] == "b"  # shorter
    assert retrieval.scifact_dense() == 1
    assert retrieval.scifact_hybrid() == 1
    low, mean, high = retrieval.hybrid_gain_cacm()
    assert (low, mean, high) == (0, 0, 0)
    assert retrieval.alike(as_set, ["a", "b", "c"]) == pytest.approx((0 + 0.6 + 0.8) / 3)


def test_a_word_asked_twice_counts_once_or_twice() -> None:
    words = subjects.Words(["tea and cake", "tea tea", "milk"])
    (_, once), (_, twice) = (
        words.search("cake cake", 3, once=True)[0],
        words.search("cake cake", 3)[0],
    )
    assert twice == pytest.approx(2 * once)
    assert words.cut("The cakes unheard") == words.cut("cake unheard")


def test_vectors_as_long_as_their_texts_are_the_wrong_metric(
    as_set: subjects.Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`c` is ten times as long: by inner product it is first for everything."""
    monkeypatch.setattr(embedding, "lengths", lambda found: [10, 10, 100])
    assert embedding.summed(as_set)[2].tolist() == pytest.approx([60, 80])
    first = subjects.run({"q": subjects.ranked(as_set.ids, embedding.summed(as_set) @ as_set.asked["q"])})
    assert first["q"][0] == "c"
    assert embedding.embed_sum_inner() < embedding.embed_sum_cosine() == 1


def test_what_is_never_read(as_set: subjects.Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "lengths", lambda found: [56, 256, 512])
    assert embedding.embed_unread() == pytest.approx(1 / 3)
    assert embedding.embed_unread_tokens() == pytest.approx(256 / 824)
    assert embedding.embed_padding() == pytest.approx(3 * 256 / (56 + 256 + 256))


def test_a_reranker_is_judged_by_what_it_moves(
    as_set: subjects.Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scorer that wants the texts about bread first moves them there, for better and for worse."""

    class Bread:
        name = "bread"

        def scores(self, question: str, passages: Sequence[str]) -> "np.ndarray":
            return np.array([9.0 * ("bread" in passage) for passage in passages], np.float32)

    monkeypatch.setattr(reranking, "subject", lambda name, small=True: as_set)
    monkeypatch.setattr(reranking, "scorer", Bread)
    reranking._reranked.cache_clear()
    assert reranking._reranked("book", True)[1]["r"][:2] in (["b", "c"], ["c", "b"])
    low, mean, high = reranking.cross_gain_book()
    assert low <= mean <= high
    assert mean < 0  # `q` loses its first place
    assert reranking.book_reranked() - reranking.book_fused() == pytest.approx(mean)
    reranking._reranked.cache_clear()


def test_small_forms_of_vectors(as_set: subjects.Subject) -> None:
    assert embedding.embed_int8() == 1
    assert embedding.shorter(as_set, 1) < 1  # the second axis is gone, and `r` with it
    assert embedding.embed_binary_rescored() == 1


def test_one_typing_error() -> None:
    lexicon = Lexicon.of(["kneading builds gluten"])
    draw = random.Random(1)
    for _ in range(50):
        wrong = understanding.misspelt("why kneading of doughs", lexicon, draw)
        assert wrong.startswith("why k")
        assert wrong.endswith(" of doughs")
        assert wrong != "why kneading of doughs"
        assert abs(len(wrong) - len("why kneading of doughs")) <= 1
    assert understanding.misspelt("why is it", lexicon, draw) == "why is it"


def test_small_sets_keep_what_was_judged() -> None:
    texts = {str(n): Text("", "x") for n in range(50)}
    found = golden("many", texts, {str(n): "?" for n in range(9)}, {str(n): {str(n): 1} for n in range(9)})
    some = subjects.part(found, subjects.Part(4, 10, 5))
    assert len(some.queries) == 4
    assert len(some.documents) == 10
    assert all(id in some.documents for row in some.judged.values() for id in row)
    assert some == subjects.part(found, subjects.Part(4, 10, 5))


def test_without_a_folder_the_sets_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDBOOK_RETRIEVAL", raising=False)
    with pytest.raises(DataUnavailable, match="HANDBOOK_RETRIEVAL"):
        subjects.subject("scifact")


def test_places_of_paragraphs_are_exact() -> None:
    shelf = chapters.shelf(small=True)
    assert len(shelf.questions) >= 8
    (parsed,) = shelf.documents
    assert len(parsed.text) < chapters.SMALL + 500
    for id, text in shelf.golden.documents.items():
        assert text.text in parsed.text, id
    chapter = open_book().chapters[chapters.CHAPTERS[0]]
    said = {f"{chapter.slug}#{one.anchor}": one.text.strip() for one in chapter.paragraphs}
    assert all(text.text == said[id] for id, text in shelf.golden.documents.items())
    first = shelf.questions[0]
    (anchor,) = shelf.golden.judged[next(iter(shelf.golden.queries))]
    assert parsed.text[first.start : first.end] == shelf.golden.documents[anchor].text
    assert any(block.kind == "heading" for block in parsed.blocks)


def test_cover_and_budget_by_hand() -> None:
    assert chunking.covered(10, 20, [(0, 12), (11, 13), (18, 30)]) == pytest.approx(0.5)
    assert chunking.covered(10, 20, []) == 0
    cut = chunking.Cut((), (), (40, 50, 30, 10))
    assert chunking.handed(cut, [1, 0, 3, 2], 100) == [1, 0, 3]
    assert chunking.handed(cut, [1, 0, 3, 2], 80) == [1]
    assert chunking.handed(cut, [1], 5) == [1]  # the first in any case
    assert chunking.interval([1.0, 0.5], [0.5, 0.0]) == [0.5, 0.5, 0.5]


def test_lines_and_columns_of_a_page() -> None:
    assert parsing.broken("one two three", 7) == ["one two", "three"]
    assert parsing.broken("see understanding here", 10, hyphens=True) == ["see under-", "standing", "here"]
    lines = [str(n) for n in range(120)]
    ((*down, _), _), (across, _) = parsing.pages(lines, False), parsing.pages(lines, True)
    assert [text for _, _, text in down[:3]] == ["0", "1", "2"]
    assert [text for _, _, text in across[:4]] == ["0", "50", "1", "51"]
    assert sorted(across) == sorted(parsing.pages(lines, False)[0])  # on paper alike


def test_whole_sentences_are_counted() -> None:
    text = "Tea is hot. Milk is cold."
    assert parsing.whole(text, "x Tea is\nhot. Milk is hot.") == 0.5


def test_how_often_a_gain_is_seen() -> None:
    apart = np.array([0.1, 0.12, 0.08, 0.11] * 5)
    assert scoring.clear_share(apart, 10) == 1
    assert scoring.clear_share(np.array([1.0, -0.99]), 10) < 0.2
    few, many = (scoring.clear_share(np.array([1.0, -0.7, 0.0]), n) for n in (20, 400))
    assert few < many


def test_the_best_of_many_is_worse_where_it_was_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).normal(size=(40, 60))
    monkeypatch.setattr(scoring, "_settings", lambda small: noise)
    assert scoring.best_chosen() > 0.2
    assert scoring.best_quoted() < 0.1


def test_equal_systems_are_seldom_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_apart", lambda small: np.random.default_rng(0).normal(size=80))
    assert 0 <= scoring.false_alarms() <= 0.12


def test_falsified_sentences() -> None:
    assert answering.other_figure("It takes 24 hours, then 3.") == "It takes 724 hours, then 3."
    assert answering.other_figure("No figure.") == ""
    assert answering.denied("The cache is large.") == "The cache is not large."
    assert answering.denied("It is not.") == answering.denied("No cache is large.") == ""
    assert answering.opposite("A larger cache.") == "A smaller cache."
    assert answering.OPPOSITE["before"] == "after"
    assert answering.opposite("A cache.") == ""


def test_a_check_that_lets_all_through_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    met = answering.Met(answering.ATTACKS[0], "The filter.", (("PumpCo is bankrupt.", False),))
    assert not met.through
    assert answering.Met(met.attack, "", (("PumpCo is bankrupt.", True),)).through
    assert answering.Met(met.attack, "It is bankrupt.", ()).through
    assert all(one.wants in one.obeyed.lower() and one.wants in one.text.lower() for one in answering.ATTACKS)


@pytest.mark.models
def test_the_hood_over_two_documents(minilm_path: Path) -> None:
    seen = looks.hood(looks.split(looks.NOTES), "How often is the filter of the pump cleaned?", 50, 2, "none")
    assert any("every six months" in text for text, _ in seen.said)
    assert {document for _, document in seen.said} == {"document 1.md"}
    assert [row["read as"] for row in seen.parsed] == ["markdown", "markdown"]
    stages = [row["stage"].split(".")[0] for row in seen.steps]
    assert stages[0] == "understand"
    assert {"embed", "retrieve", "fuse", "pack", "synthesize"} <= set(stages)
    assert all(row["received"] and row["produced"] for row in seen.steps)
    assert len(seen.passages) == 2
    with pytest.raises(HandbookError, match="no document"):
        looks.hood({}, "Why?", 50, 2, "none")


@pytest.mark.models
def test_an_obedient_model_is_caught(minilm_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not answering.met(answering.ATTACKS[0]).through
    monkeypatch.setattr(support, "check", lambda *args: Sentence("PumpCo is bankrupt.", (), True))
    assert answering.met(answering.ATTACKS[0]).through


@pytest.mark.models
def test_chunks_as_they_are_shown(minilm_path: Path) -> None:
    pieces = looks.chunks(looks.PAGE, "markdown", 25, 0)
    assert [piece.row["chunk"] for piece in pieces] == list(range(1, len(pieces) + 1))
    assert all(piece.row["tokens"] <= 25 for piece in pieces)
    assert "Fermentation / Sourdough" in {piece.row["under"] for piece in pieces}
    shown = looks.marked(looks.PAGE, pieces)
    assert shown.count("<span") >= len(pieces)
    assert "underline" not in shown
    assert "underline" in looks.marked(looks.PAGE, looks.chunks(looks.PAGE, "fixed", 25, 10))


def test_lines_of_tables() -> None:
    assert "<b>" not in looks.marked("<b>", [looks.Piece(0, 3, {})])
    step = Step("fuse", {"rankings": 2}, {"passages": [{"id": "a"}, {"id": "b"}]}, 0.0012, {"seconds": 0.25})
    assert looks.stage(step) == {
        "stage": "fuse", "received": "rankings: 2", "produced": "passages: 2 of them", "ms": 1.2,
        "cost": "seconds: 0.25", "note": "",
    }  # fmt: skip
    assert looks.split("one\n===\n\n===\ntwo") == {"document 1.md": "one", "document 2.md": "two"}
    assert len(looks.short("word " * 100)) == looks.LONGEST


def test_curves_are_ordered_by_work() -> None:
    points = [Point("IVF", "4", 0.9, 400, 5, 1, 0), Point("IVF", "1", 0.5, 100, 9, 1, 0)]
    points.append(Point("IVF + PQ", "1 probes, refine 1", 0.4, 10, 1, 1, 0))
    assert looks.curves(points, "compared") == {"IVF": [(100, 0.5), (400, 0.9)]}
    assert looks.curves(points, "microseconds") == {"IVF": [(5, 0.9), (9, 0.5)]}


def test_the_gallery_says_what_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(texts: Sequence[str]) -> None:
        raise DataUnavailable("Not here.")

    monkeypatch.setattr(chunking, "chunk_recall_800", lambda: absent(()))
    monkeypatch.setattr(embedding, "embed_sum_inner", lambda: absent(()))
    monkeypatch.setattr(reranking, "book_fused", lambda: absent(()))
    rows = looks.gallery()
    assert rows[0]["with it"] < 0.3 < 0.8 < rows[0]["without"]
    assert [row["with it"] for row in rows[1:]] == ["Not here."] * 3
