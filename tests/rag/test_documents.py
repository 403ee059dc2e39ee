import os
from pathlib import Path

import pytest

from handbook.rag.documents import RACY, Changes, Seen, changes
from handbook.rag.ingest import read_file
from handbook.rag.walk import walk

LONG_AGO = 1_700_000_000 * 10**9


def write(path: Path, text: str, modified: int = LONG_AGO) -> None:
    path.write_text(text)
    os.utime(path, ns=(modified, modified))


def look(root: Path, known: dict[str, Seen]) -> tuple[Changes, list[str]]:
    """What changed, and which files were read for it."""
    read: list[str] = []

    def reads(path: str) -> bytes:
        read.append(Path(path).name)
        return read_file(path)

    return changes(walk(root), known, reads), read


def names(sources: tuple[str, ...]) -> list[str]:
    return [Path(source).name for source in sources]


def test_new_changed_same_and_gone(tmp_path: Path) -> None:
    for name in ("a.md", "b.md", "c.md"):
        write(tmp_path / name, f"words of {name}")
    first, _ = look(tmp_path, {})
    assert (names(first.new), first.changed, first.same, first.gone) == (["a.md", "b.md", "c.md"], (), (), ())
    write(tmp_path / "a.md", "other words")
    (tmp_path / "b.md").unlink()
    write(tmp_path / "d.md", "more")
    second, read = look(tmp_path, dict(first.seen))
    assert names(second.new) == ["d.md"]
    assert names(second.changed) == ["a.md"]
    assert names(second.same) == ["c.md"]
    assert names(second.gone) == ["b.md"]
    assert sorted(read) == ["a.md", "d.md"]
    assert set(second.seen) == {str(tmp_path / name) for name in ("a.md", "c.md", "d.md")}
    assert str(second) == "1 new, 1 changed, 1 the same, 1 gone"


def test_a_touched_file_is_read_and_the_same(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "words")
    first, _ = look(tmp_path, {})
    write(tmp_path / "a.md", "words", LONG_AGO + 10**12)
    second, read = look(tmp_path, dict(first.seen))
    assert (names(second.same), read) == (["a.md"], ["a.md"])


def test_a_change_within_the_clocks_tick_is_found(tmp_path: Path) -> None:
    """Same size, same time: only reading tells, and the first look came so soon that it is done."""
    write(tmp_path / "a.md", "words")
    first = changes(walk(tmp_path), {}, now=lambda: LONG_AGO + RACY)
    write(tmp_path / "a.md", "sword")
    assert names(changes(walk(tmp_path), first.seen).changed) == ["a.md"]


def test_what_can_not_be_read_now_is_neither_gone_nor_new(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "words")
    first, _ = look(tmp_path, {})
    files = list(walk(tmp_path))
    write(tmp_path / "a.md", "other", LONG_AGO + 1)
    files = list(walk(tmp_path))
    (tmp_path / "a.md").unlink()
    second = changes(files, first.seen)
    assert (second.work, second.gone, second.same) == ((), (), ())
    assert "is not there" in second.faults[str(tmp_path / "a.md")]


@pytest.mark.parametrize("known", [{}, {"elsewhere": Seen("0" * 64)}])
def test_an_empty_folder(tmp_path: Path, known: dict[str, Seen]) -> None:
    assert changes(walk(tmp_path), known).gone == tuple(known)
