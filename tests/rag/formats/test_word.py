import io
import zipfile
from collections.abc import Callable
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from handbook.rag.formats import word
from handbook.rag.formats.faults import Unreadable
from handbook.rag.ingest import parse


def made(fill: Callable[[Any], None]) -> bytes:
    document = docx.Document()
    fill(document)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def with_part(data: bytes, name: str, content: bytes) -> bytes:
    """The same document with another part in it, or with a part replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            if entry != name:
                new.writestr(entry, old.read(entry))
        new.writestr(name, content)
    return out.getvalue()


def filled(document: Any) -> None:
    document.core_properties.title = "On Caches"
    document.core_properties.author = "Ada"
    document.add_heading("Caches", 1)
    document.add_paragraph("Keep what was dear.")
    document.add_heading("Rules", 2)
    document.add_paragraph("one", "List Bullet")
    document.add_paragraph("two", "List Number")
    table = document.add_table(2, 2)
    for i, text in enumerate(("a", "b", "1", "2")):
        table.cell(i // 2, i % 2).text = text
    inserted = document.add_paragraph("It was ")
    for xml in (
        "<w:ins {0}><w:r><w:t>added</w:t></w:r></w:ins>",
        "<w:del {0}><w:r><w:delText>gone</w:delText></w:r></w:del>",
    ):
        inserted._p.append(parse_xml(xml.format(nsdecls("w"))))


def test_blocks_in_the_order_of_the_document() -> None:
    parsed = parse(made(filled), "caches.docx")
    assert [(b.kind, b.level, parsed.text[b.start : b.end]) for b in parsed.blocks] == [
        ("heading", 1, "Caches"),
        ("paragraph", 0, "Keep what was dear."),
        ("heading", 2, "Rules"),
        ("list", 0, "- one\n- two"),
        ("table", 0, "a | b\n1 | 2"),
        ("paragraph", 0, "It was added"),
    ]
    assert (parsed.title, parsed.metadata["author"], parsed.kind) == ("On Caches", "Ada", "docx")


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = with_part(made(filled), "word/media/zeros.bin", bytes(40 << 20))
    assert len(bomb) < 200_000
    with pytest.raises(Unreadable, match="bomb"):
        parse(bomb, "bomb.docx")


def test_an_archive_that_lies_about_its_sizes_is_cut_off_there() -> None:
    """Both tables of the archive say a hundred bytes: no more is unpacked, and the document is broken."""
    data = with_part(made(filled), "word/document.xml", b"<a>" + b"x" * (9 << 20) + b"</a>")
    true, false = (9 << 20).__add__(7).to_bytes(4, "little"), (100).to_bytes(4, "little")
    assert data.count(true) == 2
    with pytest.raises(Unreadable, match="broken"):
        parse(data.replace(true, false), "lies.docx")


def test_ten_thousand_parts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word, "PARTS", 5)
    with pytest.raises(Unreadable, match="parts"):
        parse(made(filled))


def test_entities_expand_to_nothing() -> None:
    xml = (
        b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
        b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r>'
        b"<w:t>&b; end</w:t></w:r></w:p></w:body></w:document>"
    )
    try:
        text = parse(with_part(made(filled), "word/document.xml", xml)).text
    except Unreadable:
        return
    assert "aaaa" not in text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (made(filled)[:9000], "cut off"),
        (with_part(made(filled), "word/document.xml", b"<w:document"), "broken"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted"),
        (b"plain words", "is none"),
        (made(lambda document: None), "no text"),
    ],
)
def test_nothing_to_read_is_said(data: bytes, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        parse(data, "a.docx")


def test_other_archives_are_no_documents() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("notes.txt", "words")
    with pytest.raises(Unreadable, match="archive"):
        parse(out.getvalue(), "a.zip")
