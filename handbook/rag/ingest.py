"""Stage 1, ingest: a file, a page or bytes as text with its structure, and what was lost on the way.

    walk       which files of a folder
    fetch      a page that a person asked for
    documents  which of them are new, changed, gone
    parse      one of them (here), by its format (formats/)
    workers    many of them, each within limits of time and memory, one's fault no other's

A parser that fails seldom says so: a scan is an empty text, a broken page a short one. So a document of which
nothing can be read raises, and one of which something was lost says what (`Parsed.lost`).

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import hashlib
import importlib
import os
import stat
import zipfile
from io import BytesIO
from pathlib import Path, PurePath
from typing import get_args
from urllib.parse import urlsplit

from handbook.rag.formats.draft import Draft, one_line
from handbook.rag.formats.faults import FILE, Unreadable, size
from handbook.rag.language import language_of
from handbook.rag.nouns import Kind, Parsed

__all__ = ["Unreadable", "kind_of", "parse", "read_file"]

READERS: dict[Kind, str] = {
    "pdf": "handbook.rag.formats.pdf",
    "html": "handbook.rag.formats.html",
    "docx": "handbook.rag.formats.word",
    "markdown": "handbook.rag.formats.markdown",
    "text": "handbook.rag.formats.plain",
    "csv": "handbook.rag.formats.table",
    "notebook": "handbook.rag.formats.notebook",
}
SUFFIXES: dict[str, Kind] = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd"), "markdown"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".txt", ".text", ".rst", ".org", ".adoc", ".tex", ".log"), "text"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    ".pdf": "pdf",
    ".docx": "docx",
    ".ipynb": "notebook",
}
MEDIA: dict[str, Kind] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/markdown": "markdown",
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/x-ipynb+json": "notebook",
    "text/plain": "text",
}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of old Office files, and of new ones that are encrypted
_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body")


def parse(source: str | Path | bytes, name: str = "", kind: Kind | None = None, media: str = "") -> Parsed:
    """A document as text.

    Args:
        source: a file's path, or the bytes of a document.
        name: what the document is called (its URL, its file's name), where `source` is bytes.
        kind: its format, where the caller knows; else what its content and its name say.
        media: the media type that its server declared, with its charset: `text/html; charset=utf-8`.
    Raises Unreadable for a document of which nothing can be read; HandbookError for a file that can't be
    opened; ValueError for an unknown kind.
    """
    if isinstance(source, bytes):
        data, name = source, name or "a document"
    else:
        name = str(Path(source).absolute())
        data = read_file(source)
    if kind is not None and kind not in get_args(Kind):
        raise ValueError(f"expected a kind of {', '.join(get_args(Kind))}, got {kind!r}")
    if not data.strip(b"\0\t\n\r "):
        raise Unreadable(
            "The file is empty." if not data else "The file holds nothing but zeros or white space."
        )
    said = kind_by_name(name)
    found = kind or kind_of(data, name, media)
    charset = media.partition("charset=")[2].split(";")[0].strip() if "charset=" in media else ""
    draft: Draft = importlib.import_module(READERS[found]).read(data, charset)
    draft.finish()
    if not draft.text.strip():
        raise Unreadable("There is no text in it.", "")
    if said and said != found and kind is None:
        draft.lost.append(f"nothing, but it is named as {said} and is {found}")
    return Parsed(
        source=name,
        kind=found,
        title=one_line(draft.title)[:300] or _stem(name),
        text=draft.text,
        digest=hashlib.sha256(data).hexdigest(),
        language=_declared(draft.language) or language_of(draft.text),
        blocks=tuple(draft.blocks),
        pages=tuple(draft.pages),
        metadata=draft.metadata,
        lost=tuple(draft.lost),
    )


def read_file(path: str | Path, limit: int = FILE) -> bytes:
    """The bytes of a regular file. Raises Unreadable for one that is too large or none (a folder, a pipe, a
    device), and for one that can't be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable(f"{path} is no file with content: a folder, a pipe or a device.")
            if status.st_size > limit:
                raise Unreadable(
                    f"{size(status.st_size)} is more than the {size(limit)} that are read.", "Split the file."
                )
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise Unreadable(f"{path} is not there.") from error
    except IsADirectoryError as error:
        raise Unreadable(f"{path} is a folder.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unreadable(f"{path} can't be read: {reason}.") from error
    if len(data) > limit:
        raise Unreadable(f"The file grew beyond {size(limit)} while it was read.")
    return data


def kind_by_name(name: str) -> Kind | None:
    """What a file's name or a URL's path says, None where that is nothing."""
    path = urlsplit(name).path if "://" in name else name
    return SUFFIXES.get(PurePath(path).suffix.lower())


def kind_of(data: bytes, name: str = "", media: str = "") -> Kind:
    """A document's format: by its content where that is sure, then its server's word, then its name.

    Raises Unreadable for what is known to be something else.
    """
    head = data[:1024]
    if b"%PDF-" in head:
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return _archive(data)
    if head.startswith(_OLE):
        raise Unreadable(
            "This is an encrypted document, or one of Office before 2007 (.doc, .xls, .ppt).",
            "Save it as .docx or PDF, without a password.",
        )
    said = kind_by_name(name)
    told = MEDIA.get(media.partition(";")[0].strip().lower())
    if told and told not in ("text", "pdf", "docx"):
        return told
    begins = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if begins.startswith(_PAGE) or (begins.startswith(b"<?xml") and b"<html" in begins):
        return said if said in ("markdown", "csv") else "html"
    if said in ("pdf", "docx"):
        raise Unreadable(f"This is named as {said}, and is none.", "Get the file again.")
    if said:
        return said
    if begins.startswith(b"{") and b'"cells"' in data[: 1 << 20] and b'"nbformat"' in data:
        return "notebook"
    return "text"


def _archive(data: bytes) -> Kind:
    try:
        names = zipfile.ZipFile(BytesIO(data)).namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Unreadable("This is a ZIP archive or a document that is cut off or broken.") from error
    if "[Content_Types].xml" in names and any(name.startswith("word/") for name in names):
        return "docx"
    raise Unreadable(
        "This is an archive, and no document that is read here.", "Unpack it, and take the folder."
    )


def _stem(name: str) -> str:
    path = urlsplit(name).path if "://" in name else name
    return PurePath(path).stem or name


def _declared(language: str) -> str:
    """ISO 639-1 of a declared language (`en-GB` is `en`), '' for what is none."""
    code = language.strip().lower().replace("_", "-").split("-")[0]
    return code if len(code) == 2 and code.isascii() and code.isalpha() else ""
