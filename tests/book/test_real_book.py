"""The handbook's own book: no faults, fast to read, and as much in it as was promised."""

import time

import pytest

from handbook.book import kept
from handbook.book.load import open_book
from handbook.book.render import render


def test_no_faults() -> None:
    faults = open_book().faults
    assert not faults, "\n" + "\n".join(map(str, faults))


def test_seventeen_chapters_on_two_paths() -> None:
    book = open_book()
    assert len(book.chapters) == 17
    for path in book.paths:
        assert {c.slug for step in path.steps for c in step.chapters} <= set(book.chapters)
    assert [len(path.steps) for path in book.paths] == [5, 4]


@pytest.mark.alone
def test_reading_takes_less_than_400_ms() -> None:
    """All of it, the least of five, once the modules are imported (test_kept.py has what an edit takes); the
    page of a chapter after that from memory."""
    book = open_book()
    chapter = book.chapters["transformer-deep-dive"]
    render(book, chapter)
    reading, showing = [], []
    for _ in range(5):
        kept.forget()
        begin = time.process_time()
        book = open_book()
        reading.append(time.process_time() - begin)
        begin = time.process_time()
        render(book, book.chapters[chapter.slug])
        showing.append(time.process_time() - begin)
    assert min(reading) < 0.4
    assert min(showing) < 0.02
