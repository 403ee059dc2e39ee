"""Versions: what is live, the way back, and which stay."""

import shutil
import time
from datetime import timedelta
from pathlib import Path

import pytest

from handbook.errors import HandbookError
from handbook.rag import published
from handbook.rag.published import KEPT, SLOTS, thinned
from tests.rag.rows import chunks, embedded, filled, ids, opened


def test_going_back_and_forth(tmp_path: Path) -> None:
    index = filled(tmp_path)
    first = index.versions("")[0]
    assert first.live
    index.delete(["tea.md"], "")
    rows = chunks("more.md", ("More gluten.",), fields={"author": "Ann"})
    index.write(rows, embedded(rows))
    second = index.versions("")[0]
    assert [version.live for version in index.versions("")].count(True) == 1
    assert second.number > first.number
    assert second.at >= first.at

    index.rollback(first.number, "")
    assert set(index.documents("")) == {"tea.md", "bread.txt"}
    assert ids(index.lexical("tea", 9, (), "")) != []
    assert "author" not in index.fields("")
    index.rollback(second.number, "")
    assert set(opened(tmp_path).documents("")) == {"bread.txt", "more.md"}
    with pytest.raises(HandbookError, match="no version 999"):
        index.rollback(999, "")
    assert set(index.documents("")) == {"bread.txt", "more.md"}


def test_only_what_was_live_can_be_gone_back_to(tmp_path: Path) -> None:
    index = filled(tmp_path)
    held = index._table("")
    with held.writing() as table:
        table.delete("document = 'tea.md'")
        between = table.version
        table.delete("document = 'bread.txt'")
    assert between not in [version.number for version in index.versions("")]
    with pytest.raises(HandbookError, match=f"no version {between}"):
        index.rollback(between, "")


def test_readers_stay_on_what_is_live_while_a_writer_works(tmp_path: Path) -> None:
    index, reader = filled(tmp_path), opened(tmp_path)
    with index._table("").writing() as table:
        table.delete("document = 'tea.md'")
        assert table.count_rows() == 4
        assert reader.count("") == index.count("") == opened(tmp_path).count("") == 7
    assert reader.count("") == 4


def test_nothing_changed_is_no_version(tmp_path: Path) -> None:
    index = filled(tmp_path)
    before = index.versions("")
    with index._table("").writing():
        pass
    assert index.versions("") == before


def test_a_table_without_a_live_version_is_made_again(tmp_path: Path) -> None:
    index = filled(tmp_path)
    for refs in (tmp_path / "index").rglob("_refs"):
        shutil.rmtree(refs)  # as if its maker had been killed between making and publishing
    assert opened(tmp_path).count("") == index.count("") == 0
    rows = chunks("tea.md", ("Tea.",))
    index.write(rows, embedded(rows))
    assert index.count("") == opened(tmp_path).count("") == 1


def test_cleaning_frees_old_files_and_keeps_listed_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = filled(tmp_path)
    for turn in range(6):
        rows = chunks("big.md", [f"word {turn} {i}" for i in range(400)])
        index.write(rows, embedded(rows))
    monkeypatch.setattr(published, "MARGIN", timedelta(milliseconds=20))
    assert len(index.versions("")) == 8  # one is empty: the table as it was made
    before = sum(file.stat().st_size for file in tmp_path.rglob("data/*"))
    for _ in range(3):
        index.compact("")
        time.sleep(0.05)
        index.delete(["none"], "")
    versions = index.versions("")
    assert KEPT <= len(versions) <= KEPT + 2
    assert sum(file.stat().st_size for file in tmp_path.rglob("data/*")) < before
    for version in versions:
        index.rollback(version.number, "")
        assert index.count("") == 407
        assert len(index.lexical("gluten word", 999, (), "")) == 402


def test_versions_thin_out_with_age_and_one_of_each_stays() -> None:
    """A week of writing, faster and slower by turns: one of each age is always there."""
    times: list[float] = []
    now = 1.8e9
    for turn in range(20000):
        now += 20.0 if turn % 5000 < 4900 else 3000.0
        times.append(now)
        times = [at for at, kept in zip(times, thinned(times), strict=True) if kept]
        assert len(times) <= KEPT * len(SLOTS)
        assert times[-1] == now
        if turn % 5000 in range(3000, 4900):
            for size in SLOTS[1:4]:
                assert any(size <= now - at <= 2 * size + 20 for at in times), (turn, size)
    assert thinned([]) == []
    assert thinned([0.0, 10.0, 1e9]) == [True] * 3  # however long ago
