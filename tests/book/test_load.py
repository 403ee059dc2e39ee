"""What the loader makes of a book: paragraphs with addresses, links both ways, and whether it changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from handbook.book.load import open_book
from handbook.book.status import status
from handbook.errors import BookError

from .tiny import CHAPTER, FOLDER, Tiny


def test_sections_and_paragraphs(tiny: Tiny) -> None:
    chapter = tiny.open().chapters["one"]
    assert [(s.id, s.title, s.level) for s in chapter.sections] == [
        ("first", "First section", 2),
        ("deeper", "Deeper", 3),
    ]
    kinds = {p.anchor: (p.kind, p.section) for p in chapter.paragraphs}
    assert kinds == {
        "top-p1": ("paragraph", ""),
        "opening": ("paragraph", "first"),
        "first-p2": ("list", "first"),
        "item": ("item", "first"),
        "first-p3": ("math", "first"),
        "first-p4": ("code", "first"),
        "first-p5": ("figure", "first"),
        "deeper-p1": ("table", "deeper"),
        "boxed": ("box", "deeper"),
        "deeper-p4": ("paragraph", "deeper"),
    }
    for paragraph in chapter.paragraphs:
        assert chapter.anchors[paragraph.anchor] == paragraph.line


def test_plain_text_of_each_kind(tiny: Tiny) -> None:
    chapter = tiny.open().chapters["one"]
    text = {p.anchor: p.text for p in chapter.paragraphs}
    assert text["opening"].startswith("A sum of $a + b$ is 7, says Lovelace 1843. See add, the lab,")
    assert text["first-p2"] == "one item\nanother item"
    assert text["item"] == "another item"
    assert text["first-p3"] == "$$a < b$$"
    assert text["deeper-p1"] == "n | square\n2 | 4"
    assert text["boxed"] == "By hand\nTwo and five.\nMake seven."
    assert chapter.paragraph("deeper-p4").box == "Sum"  # type: ignore[union-attr]


def test_lines_of_links(tiny: Tiny) -> None:
    chapter = tiny.open().chapters["one"]
    found = {f"{link.scheme}:{link.target}": link for link in chapter.links}
    for target in ("exercise:adding", "chapter:two", "figure:two-bars", "anchor:boxed"):
        written = target.replace("anchor:", "#")
        assert found[target].line == tiny.line(CHAPTER, written), target
    assert found["question:why-add"].anchor == "opening"


def test_words_leave_code_out(tiny: Tiny) -> None:
    before = tiny.open().chapters["one"].words
    tiny.swap(CHAPTER, "$$\na < b", "$$\na < b + c + d + e")
    assert tiny.open().chapters["one"].words == before
    tiny.swap(CHAPTER, "Before any heading.", "Before any of the headings.")
    assert tiny.open().chapters["one"].words == before + 2


def test_backlinks(tiny: Tiny) -> None:
    tiny.put(
        "book/part/two.md",
        "---\ntitle: Two\nstatus: outline\nsummary: x\n---\n\n"
        "## Here {#here}\n\nSee [one](chapter:one#boxed).\n",
    )
    book = tiny.open()
    assert book.faults == ()
    add = f"code:{tiny.package}.sums:add"
    assert [(b.chapter, b.anchor) for b in book.links_to(add)] == [
        ("part/one", "opening"),
        ("part/one", "first-p4"),
        ("part/one", "adding"),
    ]
    assert [b.anchor for b in book.links_to("cite:lovelace1843")] == ["opening", ""]
    assert [b.url for b in book.links_to("question:why-add")] == ["/book/part/one#opening"]
    opening = book.links_to("chapter:one#opening")
    assert [b.url for b in opening] == ["/book/part/one/questions#why-add", "/exercise/adding"]
    (back,) = book.chapters["one"].backlinks
    assert (back.chapter, back.title, back.url) == ("part/two", "Two: Here", "/book/part/two#here-p1")
    assert [c.slug for c in book.chapters_of(f"{tiny.package}.sums")] == ["one"]


def test_chapter_without_a_file(tiny: Tiny) -> None:
    book = tiny.open()
    two = book.chapters["two"]
    assert (two.written, two.source, two.summary) == (False, None, "The second.")
    rows = {row["chapter"]: row for row in status(book)}
    assert rows["part/two"]["status"] == "missing"
    assert rows["part/one"]["written"] is True
    assert (rows["part/one"]["claims"], rows["part/one"]["measured"]) == (1, 1)


def test_a_question_s_yes_stays_a_word(tiny: Tiny) -> None:
    question = tiny.open().questions["why-add"]
    assert question.chapter == "part/one"
    assert [(c.id, c.yes, c.weight, c.must) for c in question.criteria][:2] == [
        ("first", "Says one.", 2.0, True),
        ("second", "Says two.", 1.0, False),
    ]


def test_reference(tiny: Tiny) -> None:
    reference = tiny.open().references["lovelace1843"]
    assert reference.label == "Lovelace 1843"
    assert reference.title == "Notes on éngines"
    assert reference.url == "https://arxiv.org/abs/1234.5678"


@pytest.mark.parametrize("change", ["edit", "new", "gone", "code"])
def test_changed(tiny: Tiny, change: str) -> None:
    book = tiny.open()
    assert not book.changed()
    if change == "edit":
        tiny.swap(CHAPTER, "Before", "After")
    elif change == "new":
        tiny.put("book/part/two.md", "x")
    elif change == "gone":
        tiny.file(f"{FOLDER}/questions.yaml").unlink()
    else:
        os.utime(tiny.module, ns=(1, 1))
    assert book.changed()


def test_no_book(tmp_path: Path) -> None:
    with pytest.raises(BookError, match=r"book\.toml is missing"):
        open_book(tmp_path)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from handbook.book.load import open_book; from handbook.book.render import render;"
        "book = open_book(); [render(book, c) for c in book.chapters.values()];"
        "heavy = {'torch', 'marimo', 'lancedb', 'transformers', 'altair'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
