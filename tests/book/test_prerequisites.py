"""Prerequisites: what is read, each fault with its line, and that the real book's graph has no circle."""

import pytest

from handbook.book.load import open_book

from .tiny import Tiny

FILE = "book/prerequisites.toml"
GOOD = """
[chapters]
two = ["one"]

[sections.one]
deeper = ["first"]
"""


def written(tiny: Tiny, text: str) -> None:
    (tiny.base / FILE).write_text(text, encoding="utf-8")


def test_a_book_without_the_file_has_no_edges(tiny: Tiny) -> None:
    book = tiny.open()
    assert not book.prerequisites
    assert not book.faults


def test_names_of_sections_are_those_of_their_chapter(tiny: Tiny) -> None:
    written(tiny, GOOD)
    book = tiny.open()
    assert dict(book.prerequisites) == {"two": ("one",), "one#deeper": ("one#first",)}
    assert not book.faults


@pytest.mark.parametrize(
    ("old", "new", "kind", "line"),
    [
        ('two = ["one"]', 'two = ["three"]', "dangling-link", 3),
        ('two = ["one"]', 'three = ["one"]', "dangling-link", 3),
        ('["first"]', '["last"]', "dangling-link", 6),
        ('["first"]', '["two#first"]', "dangling-link", 6),
        ("[sections.one]", "[sections.none]", "dangling-link", 6),
        ('["first"]', '["first", "first"]', "duplicate-id", 6),
        ('["first"]', '["deeper"]', "circle", 6),
        ('["first"]', "3", "bad-value", 6),
        ('two = ["one"]', 'two = ["one#first"]', "bad-value", 3),
        ('two = ["one"]', 'one = ["two"]\ntwo = ["one"]', "circle", 4),
        ('deeper = ["first"]', 'first = ["deeper"]', "circle", 6),  # a subsection rests on its section
        ("[chapters]", "[chapter]", "unknown-key", 1),
        ("[chapters]", "[chapters", "syntax", 2),
    ],
)
def test_one_fault(tiny: Tiny, old: str, new: str, kind: str, line: int) -> None:
    assert old in GOOD
    written(tiny, GOOD.replace(old, new))
    faults = [fault for fault in tiny.open().faults if fault.file == FILE]
    assert [(fault.kind, fault.line) for fault in faults] == [(kind, line)], faults


def test_a_circle_between_a_chapter_and_another_ones_section(tiny: Tiny) -> None:
    """Chapter two rests on one, and a section of one on a section of two."""
    two = tiny.base / "book/part/two.md"
    front = "---\ntitle: Two\nstatus: outline\nsummary: The second.\n---\n"
    two.write_text(front + "\n## Later {#later}\n\nWords.\n", encoding="utf-8")
    written(tiny, GOOD.replace('["first"]', '["two#later"]'))
    faults = [fault for fault in tiny.open().faults if fault.file == FILE]
    assert [fault.kind for fault in faults] == ["circle"]
    assert faults[0].what == "one#deeper rests on itself: one#deeper on two#later on one on one#deeper."
    assert dict(tiny.open().prerequisites) == {"two": ("one",)}


def test_both_paths_of_the_real_book_keep_to_its_prerequisites() -> None:
    book = open_book()
    for path in book.paths:
        order = [chapter.slug for step in path.steps for chapter in step.chapters]
        for slug in order:
            for needed in book.prerequisites.get(slug, ()):
                assert order.index(needed) < order.index(slug), f"{path.id}: {slug} before {needed}"
