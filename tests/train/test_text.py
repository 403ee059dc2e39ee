"""Where the text comes from: named file, setting, data folder, download; whole or not at all."""

import hashlib
import os
import subprocess
import sys
import urllib.error
from dataclasses import replace
from pathlib import Path

import pytest

from handbook.errors import DiskFull, TextUnavailable
from handbook.settings import Settings
from handbook.train import text


def offline(_url: str) -> bytes:
    raise urllib.error.URLError("no route to host")


@pytest.mark.text
def test_the_pin_is_that_of_the_text(text_path: Path) -> None:
    content = text_path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == text.SHA256
    assert len(content) == text.SIZE
    assert len(set(text.read(text_path))) == 65


def test_named_file_before_setting_before_data_folder(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, text=tmp_path / "set.txt")
    (tmp_path / "named.txt").write_text("named")
    (tmp_path / "set.txt").write_text("set")
    text.home(settings).parent.mkdir()
    text.home(settings).write_text("home")
    assert text.find(settings, tmp_path / "named.txt") == tmp_path / "named.txt"
    assert text.find(settings) == tmp_path / "set.txt"
    assert text.find(Settings(data=tmp_path)) == text.home(settings)
    assert text.find(Settings(data=tmp_path / "empty")) is None


@pytest.mark.parametrize("named", ["missing.txt", "."])
def test_a_named_file_that_is_none_is_an_error(tmp_path: Path, named: str) -> None:
    with pytest.raises(TextUnavailable, match="is not a file"):
        text.bring(Settings(data=tmp_path), tmp_path / named, offline)


def test_without_a_network_the_remedy_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(TextUnavailable, match="no route to host") as caught:
        text.bring(Settings(data=tmp_path), None, offline)
    for part in (text.URL, text.SHA256, str(tmp_path / "texts" / "tinyshakespeare.txt"), "HANDBOOK_TEXT"):
        assert part in caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_another_text_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(TextUnavailable, match="gave 5 bytes"):
        text.bring(Settings(data=tmp_path), None, lambda url: b"other")
    assert not list(tmp_path.rglob("*.txt"))


@pytest.mark.text
def test_what_was_downloaded_is_kept_and_found(tmp_path: Path, text_path: Path) -> None:
    settings = Settings(data=tmp_path)
    content = text_path.read_bytes()
    path = text.bring(settings, None, lambda url: content if url == text.URL else b"")
    assert path.read_bytes() == content
    assert text.bring(settings, None, offline) == path == text.pinned(settings)
    assert [each.name for each in path.parent.iterdir()] == [path.name], "no scratch file stays"


def test_a_changed_file_in_the_data_folder_is_said(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    text.home(settings).parent.mkdir()
    text.home(settings).write_text("changed")
    for ask in (text.pinned, text.bring):
        with pytest.raises(TextUnavailable, match="is not Tiny Shakespeare"):
            ask(settings)
    assert text.home(settings).read_text() == "changed"


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(text.SHAKESPEARE, sha256=hashlib.sha256(b"x").hexdigest())
    monkeypatch.setattr(text, "SHAKESPEARE", other)
    (tmp_path / "texts").write_text("a file where the folder should be")
    with pytest.raises(DiskFull, match="cannot be written"):
        text.bring(Settings(data=tmp_path), None, lambda url: b"x")


def test_no_text_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("schön".encode("latin-1"))
    with pytest.raises(TextUnavailable, match="not UTF-8"):
        text.read(tmp_path / "latin.txt")


def test_finding_it_loads_no_torch() -> None:
    code = "import sys, handbook.train.text; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0
