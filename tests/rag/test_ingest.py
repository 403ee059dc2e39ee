import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handbook.rag import ingest
from handbook.rag.ingest import Unreadable, kind_of, parse, read_file
from handbook.rag.nouns import Kind
from tests.rag.papers import column, pdf

PDF = pdf([column(["Words of a page."])])


@pytest.mark.parametrize(
    ("data", "name", "media", "kind"),
    [
        (PDF, "a.txt", "", "pdf"),
        (b"# T", "a.MD", "", "markdown"),
        (b"a,b", "https://example.org/x/a.csv?b=c.html", "", "csv"),
        (b"\xef\xbb\xbf <!DOCTYPE html><p>", "download", "", "html"),
        (b"<p>part of a page", "x", "text/html; charset=utf-8", "html"),
        (b"<html> in a note", "a.md", "", "markdown"),
        (b"<html>sign in</html>", "a.pdf", "application/pdf", "html"),
        (b'{"cells": [], "nbformat": 4}', "x", "", "notebook"),
        (b"words", "a.md", "text/plain", "markdown"),
        (b"words", "README", "", "text"),
    ],
)
def test_formats_by_content_and_name(data: bytes, name: str, media: str, kind: Kind) -> None:
    assert kind_of(data, name, media) == kind


def test_a_name_that_says_something_else_is_told() -> None:
    parsed = parse(b"<html><p>Please sign in.</p></html>", "paper.pdf")
    assert parsed.kind == "html"
    assert parsed.lost == ("nothing, but it is named as pdf and is html",)


def test_a_file_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a note.md"
    path.write_text("# Über\n\nDie Datei ist von uns, und sie ist nicht groß.")
    parsed = parse(path)
    assert (parsed.source, parsed.title, parsed.language) == (str(path), "Über", "de")
    assert parsed.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_declared_language_is_believed() -> None:
    assert parse(b"<html lang='pt-BR'><p>x</p></html>").language == "pt"
    assert parse(b"<html lang='klingon'><p>x</p></html>").language == ""


@pytest.mark.parametrize(
    "data", [b"", b" \n\t", bytes(5000), b"%PDF-", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9]
)
def test_what_holds_nothing_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        parse(data, "x.md" if data == b"" else "x")


def test_unknown_kinds_raise() -> None:
    with pytest.raises(ValueError, match="expected a kind of pdf, html"):
        parse(b"x", kind="word")  # type: ignore[arg-type]


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """Opening a pipe would wait for a writer for ever."""
    os.mkfifo(tmp_path / "pipe")
    for path, said in ((tmp_path / "pipe", "pipe"), (tmp_path, "folder"), (tmp_path / "no", "not there")):
        with pytest.raises(Unreadable, match=said):
            read_file(path)
    with pytest.raises(Unreadable, match="can't be read"):
        read_file("a\0b")


def test_files_above_the_limit_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.truncate(ingest.FILE + 1)
    with pytest.raises(Unreadable, match="MB is more than"):
        parse(path)


KINDS: list[Kind] = ["html", "markdown", "text", "csv", "notebook", "pdf", "docx"]
PIECES = (
    *("# T", "---", "a: b", "```", "<!--", "-->", "<p>", "<table><tr><td>", "<ul><li>", "<pre>", "</div>"),
    *("|", ",", '"', "\n", "\r\n", " ", "word", "é", "\0", "e\u0301", "\u2028", "\U000e0041", "&amp;"),
)
MARKUP = st.lists(st.sampled_from(PIECES), max_size=40).map(lambda parts: "".join(parts).encode())


@settings(max_examples=300, deadline=None)
@given(MARKUP | st.binary(max_size=200), st.sampled_from(KINDS))
def test_any_bytes_are_read_or_refused(data: bytes, kind: Kind) -> None:
    """Whatever comes, a document has exact, ordered blocks and a clean text, or it is refused in words."""
    try:
        parsed = parse(data, "x", kind=kind)
    except Unreadable:
        return
    end = 0
    for block in parsed.blocks:
        assert end <= block.start < block.end <= len(parsed.text)
        assert (
            not parsed.text[block.start].isspace() or block.kind == "code" or kind in ("markdown", "notebook")
        )
        end = block.end
    assert not set(parsed.text) & {"\r", "\0", "\u2028", "\U000e0041", "e\u0301"}
    assert list(parsed.pages) == sorted(parsed.pages)
    assert parsed.text.strip()
