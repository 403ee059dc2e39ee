"""Names of files that a browser sent."""

import io
from pathlib import Path

import pytest
from starlette.datastructures import UploadFile

from handbook.app.web import uploads
from handbook.errors import HandbookError


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("notes.md", "notes.md"),
        ("../../etc/passwd.md", "passwd.md"),
        ("C:\\Users\\me\\Plan A.docx", "Plan A.docx"),
        ("/", "document"),
        ("..", "document"),
        (".md", "document.md"),
        ("a\0b\n.md", "ab.md"),
        ("‮dm.exe.md", "dm.exe.md"),
        ('what?<is>"this"|.txt', "what-is-this.txt"),
        ("con.md", "con-document.md"),
        ("Cafe\u0301.md", "Caf\u00e9.md"),
        ("x" * 400 + ".pdf", "x" * 120 + ".pdf"),
        ("é" * 100 + ".pdf", "é" * 60 + ".pdf"),
    ],
)
def test_a_name_is_made_safe(sent: str, kept: str) -> None:
    assert uploads.safe_name(sent) == kept


def file(name: str, data: bytes = b"x") -> UploadFile:
    return UploadFile(io.BytesIO(data), filename=name)


def test_files_are_kept_whole_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    assert uploads.keep([file("a.md", b"one")], folder) == [folder / "a.md"]
    uploads.keep([file("dir/a.md", b"two"), file("b.txt")], folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.md": b"two", "b.txt": b"x"}


@pytest.mark.parametrize("names", [["a.md", "b.exe"], ["none"], ["a.md", "x/A.md"]])
def test_nothing_is_kept_where_one_file_can_t_be(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(HandbookError, match="Nothing was added"):
        uploads.keep([file(name) for name in names], tmp_path / "uploads")
    assert not (tmp_path / "uploads").exists()
