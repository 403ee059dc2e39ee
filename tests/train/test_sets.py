"""Public sets to train on: where they are looked for, and that another file is never taken for one."""

import urllib.error
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from handbook.errors import DataUnavailable
from handbook.settings import Settings
from handbook.train import sets

SMALL = replace(sets.INSTRUCTIONS, sha256=sha256(b"[]").hexdigest(), size=2)


@pytest.mark.shared
def test_the_pins_are_those_of_the_files(sets_path: Path, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, sets=sets_path)
    for one in sets.ALL:
        assert sets.here(one, settings).stat().st_size == one.size
        assert sets.bring(one, settings) == sets_path / Path(one.place).name
    assert not list(tmp_path.iterdir())


def test_it_is_downloaded_once_and_whole(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    asked: list[str] = []

    def open_url(url: str) -> bytes:
        asked.append(url)
        return b"[]"

    for _ in range(2):
        assert sets.bring(SMALL, settings, open_url).read_bytes() == b"[]"
    assert asked == [SMALL.url]


def test_what_is_not_here_says_what_to_do(tmp_path: Path) -> None:
    def offline(url: str) -> bytes:
        raise urllib.error.URLError("no route to host")

    settings = Settings(data=tmp_path)
    with pytest.raises(DataUnavailable, match="not on this machine") as caught:
        sets.here(SMALL, settings)
    for part in (SMALL.url, SMALL.sha256, str(tmp_path / "sets" / "alpaca_en_demo.json"), "HANDBOOK_SETS"):
        assert part in caught.value.remedy
    with pytest.raises(DataUnavailable, match="no route to host"):
        sets.bring(SMALL, settings, offline)
    with pytest.raises(DataUnavailable, match="gave 5 bytes"):
        sets.bring(SMALL, settings, lambda url: b"other")
    assert not list(tmp_path.rglob("*.json"))


def test_another_file_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "alpaca_en_demo.json").write_bytes(b"[1]")
    with pytest.raises(DataUnavailable, match="is not the set of instructions"):
        sets.bring(SMALL, Settings(data=tmp_path / "data", sets=tmp_path))
