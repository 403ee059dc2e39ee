"""Chapters that are remembered: nothing else than reading again would say, and less work."""

import os
import shutil
import statistics
import time
from pathlib import Path

import pytest

from handbook.book import chapter as chapters
from handbook.book import kept
from handbook.book.load import open_book

from .tiny import Tiny

ROOT = Path(__file__).parents[2]


def age(folder: Path) -> None:
    """As if everything had been written a minute ago."""
    then = time.time_ns() - 60_000_000_000
    for path in folder.rglob("*"):
        os.utime(path, ns=(then, then))


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the chapters that are read, not remembered."""
    read: list[str] = []

    def counted(root: Path, entry: chapters.Entry, faults: object) -> object:
        read.append(entry.slug)
        return chapters.load_chapter(root, entry, faults)  # type: ignore[arg-type]

    monkeypatch.setattr(kept, "load_chapter", counted)
    kept.forget()
    return read


def test_an_edit_re_reads_its_chapter_alone(tmp_path: Path, readings: list[str]) -> None:
    root = tmp_path / "book"
    shutil.copytree(ROOT / "book", root)
    age(root)
    first = open_book(root)
    assert len(readings) == 17
    readings.clear()
    again = open_book(root)
    assert readings == []
    assert again.faults == first.faults
    assert again.chapters.keys() == first.chapters.keys()
    chapter = root / "machine-learning/applied-ml-engineering.md"
    chapter.write_text(chapter.read_text() + "\n## One more {#one-more}\n\nA paragraph.\n")
    edited = open_book(root)
    assert readings == ["applied-ml-engineering"]
    assert edited.chapters["applied-ml-engineering"].section("one-more") is not None


def test_files_of_a_chapter_count_as_the_chapter(tiny: Tiny, readings: list[str]) -> None:
    book = tiny.open()
    name = next(iter(book.exercises))
    age(tiny.base)
    tiny.open()
    readings.clear()
    tiny.open()
    assert readings == []
    statement = book.exercises[name].file("statement.md")
    statement.write_text(statement.read_text() + "One more sentence.\n")
    assert tiny.open().exercises[name].statement.endswith("One more sentence.\n")
    assert len(readings) == 1


def test_faults_are_remembered_with_their_chapter(tiny: Tiny, readings: list[str]) -> None:
    book = tiny.open()
    chapter = next(c for c in book.chapters.values() if c.source)
    assert chapter.source is not None
    chapter.source.write_text(
        chapter.source.read_text() + "\n\n[nowhere](chapter:no-such-chapter)\n\n<b>raw</b>\n"
    )
    age(tiny.base)
    first = tiny.open().faults
    readings.clear()
    assert tiny.open().faults == first
    assert readings == []
    assert {fault.kind for fault in first} >= {"dangling-link"}


def test_what_was_written_a_moment_ago_is_read_again(tiny: Tiny, readings: list[str]) -> None:
    tiny.open()
    count = len(readings)
    tiny.open()
    assert len(readings) > count


@pytest.mark.alone
def test_reading_after_an_edit_takes_less_than_reading_all(tmp_path: Path) -> None:
    """Some 100 ms, where all of it takes 200: the two by turns, so that a busy neighbour slows both."""
    root = tmp_path / "book"
    shutil.copytree(ROOT / "book", root)
    age(root)
    longest = root / "architectures/transformer-deep-dive.md"
    all_of_it, edited = [], []
    for turn in range(7):
        kept.forget()
        begin = time.process_time()
        open_book(root)
        all_of_it.append(time.process_time() - begin)
        longest.write_text(longest.read_text() + f"\nAn edit, {turn}.\n")
        begin = time.process_time()
        open_book(root)
        edited.append(time.process_time() - begin)
        age(root)
    assert min(edited) < 0.3
    assert statistics.median(edited) < 0.85 * statistics.median(all_of_it), (edited, all_of_it)
