"""DOCX: paragraphs, lists and tables in the order of the document, headings by the outline of their styles.

A DOCX is a ZIP archive of XML (ECMA-376), so what it may unpack to is looked at before anything is unpacked.
Text that was inserted and not yet accepted is read, deleted text is not. Not covered: headers and footers,
drawings.
"""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from handbook.rag.formats.characters import clean
from handbook.rag.formats.draft import Draft, one_line
from handbook.rag.formats.faults import PART, PARTS, RATIO, SMALL, UNPACKED, Unreadable, size

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SKIPPED = {f"{_W}{tag}" for tag in ("del", "moveFrom", "pPr", "rPr", "fldSimpleData", "instrText", "sdtPr")}
_DRAWN = {
    f"{_W}drawing",
    f"{_W}pict",
    f"{_W}object",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}AlternateContent",
}
DEPTH = 40  # of tables within tables, and of other nesting


def read(data: bytes, declared: str = "") -> Draft:
    """A Word document. Raises Unreadable for an archive that is a bomb, broken, or no document."""
    _check(data)
    import docx
    from docx.opc.exceptions import PackageNotFoundError
    from lxml.etree import LxmlError

    try:
        document = docx.Document(io.BytesIO(data))
    except (
        PackageNotFoundError,
        KeyError,
        ValueError,
        LxmlError,
        zipfile.BadZipFile,
        OSError,
        AttributeError,
    ) as error:
        raise Unreadable(
            f"The document is broken: {one_line(str(error))[:200]}.", "Save it again in Word."
        ) from error
    draft = Draft()
    _Reader(draft, _outline(document)).read(document.element.body)
    properties = document.core_properties
    for name in ("author", "subject", "keywords", "category"):
        if value := one_line(clean(str(getattr(properties, name, "") or ""))):
            draft.metadata[name] = value
    try:
        draft.metadata |= {"date": str(properties.modified.date())} if properties.modified else {}
    except ValueError:
        draft.lost.append("the date: it is none")
    draft.finish()
    draft.title = one_line(clean(properties.title or "")) or draft.first_heading()
    return draft


def _check(data: bytes) -> None:
    """Look at the archive's table before anything is unpacked. What unpacks to more than the table says is
    cut off by zipfile there, so a table that lies only breaks its own document.
    """
    try:
        entries = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Unreadable("The document is no archive that can be opened: it is cut off or broken.") from error
    if len(entries) > PARTS:
        raise Unreadable(f"The document has {len(entries):,} parts, more than the {PARTS:,} that are read.")
    if any(entry.flag_bits & 1 for entry in entries):
        raise Unreadable("The document's archive is encrypted.", "Save it without a password.")
    bombs = [
        entry
        for entry in entries
        if entry.file_size > PART or entry.file_size > max(SMALL, RATIO * entry.compress_size)
    ]
    total = sum(entry.file_size for entry in entries)
    if bombs or total > UNPACKED:
        largest = max((entry.file_size for entry in bombs), default=total)
        unpacked = size(max(largest, total))
        raise Unreadable(f"The document's {size(len(data))} would unpack to {unpacked}: a bomb, or damaged.")


def _outline(document: Any) -> dict[str, int]:
    """Level of heading, 1 to 6, by the id of a paragraph's style; styles inherit it."""
    levels: dict[str, int] = {}
    based: dict[str, str] = {}
    for style in document.styles.element.iterfind(f"{_W}style"):
        name = style.get(f"{_W}styleId") or ""
        parent = style.find(f"{_W}basedOn")
        based[name] = (parent.get(f"{_W}val") or "") if parent is not None else ""
        level = style.find(f"{_W}pPr/{_W}outlineLvl")
        said = style.find(f"{_W}name")
        if said is not None and (said.get(f"{_W}val") or "").lower() == "title":
            levels[name] = 1
        elif level is not None and (value := level.get(f"{_W}val") or "").isdecimal() and int(value) < 9:
            levels[name] = min(6, int(value) + 1)
    for name in based:
        above, steps = name, 0
        while above and above not in levels and steps < DEPTH:
            above, steps = based.get(above, ""), steps + 1
        if above in levels:
            levels[name] = levels[above]
    return levels


class _Reader:
    """Blocks of a document's body."""

    def __init__(self, draft: Draft, levels: dict[str, int]) -> None:
        self._draft = draft
        self._levels = levels
        self._items: list[str] = []  # of the list that is being read
        self._drawn = 0

    def read(self, body: Any) -> None:
        self._blocks(body, 0)
        self._end_list()
        if self._drawn:
            self._draft.lost.append(f"{self._drawn} drawings, pictures and text boxes")

    def _blocks(self, parent: Any, depth: int) -> None:
        for child in parent:
            if child.tag == f"{_W}p":
                self._paragraph(child)
            elif child.tag == f"{_W}tbl":
                self._end_list()
                self._draft.add("table", "\n".join(self._rows(child)))
            elif child.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml") and depth < DEPTH:
                self._blocks(child, depth + 1)

    def _paragraph(self, p: Any) -> None:
        text = self._text(p)
        style = p.find(f"{_W}pPr/{_W}pStyle")
        name = style.get(f"{_W}val") or "" if style is not None else ""
        numbered = p.find(f"{_W}pPr/{_W}numPr")
        level = self._levels.get(name, 0)
        if not level and (numbered is not None or name.startswith("List")):
            depth = numbered.find(f"{_W}ilvl") if numbered is not None else None
            value = (depth.get(f"{_W}val") or "") if depth is not None else ""
            indent = "  " * min(8, int(value)) if value.isdecimal() else ""
            self._items += [f"{indent}- {one_line(text)}"] if text.strip() else []
            return
        self._end_list()
        if level:
            self._draft.add("heading", one_line(text), level)
        else:
            self._draft.add("code" if "code" in name.lower() else "paragraph", text)

    def _end_list(self) -> None:
        if self._items:
            self._draft.add("list", "\n".join(self._items))
            self._items = []

    def _rows(self, table: Any) -> list[str]:
        """Rows as cells with bars between; what a cell holds of tables is part of its text."""
        rows = []
        for row in table.iterfind(f"{_W}tr"):
            cells = [
                one_line(" ".join(map(self._text, cell.iter(f"{_W}p")))) for cell in row.iterfind(f"{_W}tc")
            ]
            if any(cells):
                rows.append(" | ".join(cells))
        return rows

    def _text(self, p: Any) -> str:
        return clean("".join(self._runs(p, 0)))

    def _runs(self, element: Any, depth: int) -> Iterator[str]:
        for child in element:
            tag = child.tag
            if tag == f"{_W}t":
                yield child.text or ""
            elif tag == f"{_W}tab":
                yield "\t"
            elif tag in (f"{_W}br", f"{_W}cr"):
                yield "\n"
            elif tag == f"{_W}noBreakHyphen":
                yield "-"
            elif tag in _DRAWN:
                self._drawn += 1
            elif tag not in _SKIPPED and depth < DEPTH:
                yield from self._runs(child, depth + 1)
