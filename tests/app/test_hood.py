"""The hood: any step is drawn, leads to its chapter and its code, and a document's words do nothing in it."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from handbook.app.web import hood
from handbook.app.web.pages import environment
from handbook.book.load import open_book
from handbook.book.nouns import Book
from handbook.book.symbols import module_file
from handbook.records import Answer, Chunk, Hit, Step
from handbook.settings import Settings

BOOK = cast(Book, SimpleNamespace(chapters={hood.CHAPTER: SimpleNamespace(url="/book/rag-pipelines/x")}))
NONE = cast(Book, SimpleNamespace(chapters={}))
PASSAGES = [
    {"rank": 1, "rank_before": 3, "id": "a-0", "title": "Tea", "score": 0.123456, "dense": 0.5},
    {"rank": 2, "rank_before": "", "id": "b-1", "title": "Wine", "score": 0.1, "lexical": 2},
]


def drawn(step: Step, book: Book = BOOK, **urls: str) -> hood.View:
    (view,) = hood.views([step], book, lambda id: urls.get(id.replace("-", "_"), ""))
    return view


def test_passages_have_their_ranks_links_and_figures() -> None:
    view = drawn(Step("rerank", {"pool": 20}, {"passages": PASSAGES}, 0.0123), a_0="/corpora/x/passage/a-0")
    (line,) = view.produced
    tea, wine = line.rows
    assert (line.name, line.text) == ("Passages", "2")
    assert (tea.title, tea.url, tea.rank, tea.was) == ("Tea", "/corpora/x/passage/a-0", 1, 3)
    assert tea.figures == (("Dense", "0.5"), ("Score", "0.1235"))
    assert (wine.url, wine.was) == ("", None)
    assert view.time == "12.3 ms"
    assert [(one.name, one.text) for one in view.received] == [("Pool", "20")]


def test_a_stage_leads_to_its_section_and_its_code() -> None:
    view = drawn(Step("understand.spell", {}, {}, 0.0))
    assert view.chapter == "/book/rag-pipelines/x#understand"
    assert view.code == "/code/handbook.rag.query.spelling"
    assert drawn(Step("understand.new_one", {}, {}, 0.0)).code == "/code/handbook.rag.understand"
    other = drawn(Step("dream", {}, {}, 0.0), NONE)
    assert (other.title, other.chapter, other.code) == ("Dream", "", "")


def test_every_stage_has_code_that_is_there_and_a_section_in_the_book() -> None:
    assert [name for name in hood.CODE.values() if module_file(name) is None] == []
    chapter = open_book(Settings().book).chapters[hood.CHAPTER]
    sections = {section.id for section in chapter.sections}
    stages = {name.partition(".")[0] for name in hood.CODE}
    assert stages <= sections


@dataclass(frozen=True)
class Correction:
    typed: str
    meant: str


def test_any_value_is_drawn() -> None:
    values: dict[str, Any] = {
        "lost_in_the_middle": True,
        "share": 0.123456789,
        "tokens": 12345,
        "parts": ("one", "two"),
        "alone": ("only",),
        "none": (),
        "corrections": (Correction("teh", "the"),),
        "about": {"min": 1, "max": [2, 3]},
        "long": "x" * 5000,
        "many": list(range(80)),
    }
    lines = {line.name: line for line in drawn(Step("fuse", values, {}, 2.0)).received}
    assert lines["Lost in the middle"].text == "yes"
    assert lines["Share"].text == "0.1235"
    assert lines["Tokens"].text == "12\N{NARROW NO-BREAK SPACE}345"
    assert lines["Parts"].items == ("one", "two")
    assert (lines["Alone"].text, lines["None"].text) == ("only", "none")
    assert lines["Corrections"].rows[0].figures == (("Typed", "teh"), ("Meant", "the"))
    assert len(lines["Long"].text) == hood.MOST_TEXT + 2
    assert (len(lines["Many"].items), lines["Many"].more) == (50, 30)


def test_times_are_said_as_a_person_reads_them() -> None:
    assert [hood.time(each) for each in (0.0, 0.00011, 0.5, 12.34)] == [
        "under 0.1 ms", "0.1 ms", "500.0 ms", "12.3 s",
    ]  # fmt: skip
    assert hood.total([Step("fuse", {}, {}, 0.4), Step("pack", {}, {}, 0.7)]) == "1.1 s"


def test_what_a_document_says_stays_text_and_leads_nowhere_else() -> None:
    evil = [{"title": "<b>x</b>", "url": "javascript:alert(1)"}, {"title": "y", "url": "//evil.example"}]
    views = hood.views([Step("fuse", {"<i>": "<script>"}, {"passages": evil}, 0.0)], BOOK, lambda id: "")
    answer = Answer("q", (), True, (), 0.0)
    html = environment.get_template("fragments/hood.html").render(hood=views, hood_total="1 s", answer=answer)
    assert "<script>" not in html
    assert "<b>" not in html
    assert "evil.example" not in html
    assert "javascript:" not in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html


def test_passages_of_a_corpus_have_addresses_even_where_the_answer_left_them_out() -> None:
    chunk = Chunk("a-0", "d", "", "Tea", "Green.", "/corpora/notes/passage/a-0", "document")
    answer = Answer("q", (), True, (Hit(chunk, 1.0),), 0.0, corpus="notes")
    urls = hood.answer_urls(answer)
    assert urls("a-0") == "/corpora/notes/passage/a-0"
    assert urls("z-9") == "/corpora/notes/passage/z-9"
    own = hood.answer_urls(Answer("q", (), True, (Hit(chunk, 1.0),), 0.0))
    assert own("z-9") == ""
