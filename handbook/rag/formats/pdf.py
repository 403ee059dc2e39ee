"""PDF: the text layer, as lines with their places, put together again into paragraphs.

A PDF holds glyphs at places and neither words in order nor paragraphs; pdfium finds words and lines. What is
a paragraph, a heading or a running title follows here from gaps, sizes and repetition. Sizes are heights of
pdfium's loose character boxes (font ascent to descent), in points. Not covered: tables as tables, text in
pictures, forms.
"""

import ctypes
import math
import re
import threading
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any, Literal

from handbook.rag.formats.characters import clean
from handbook.rag.formats.draft import Draft, one_line
from handbook.rag.formats.faults import PAGE, PAGES, Unreadable, ranges
from handbook.rag.nouns import BlockKind

LARGER = 1.12  # times the body's size: a heading
LONGEST_HEADING = 200  # characters
GAP = 1.35  # times the usual distance of lines: a new paragraph
RECURS = 0.5  # share of pages that have a first or last line where running titles stand
FEWEST = 4  # pages, below which nothing is one
_PDFIUM = threading.Lock()  # pdfium is not made for threads
_CATALOGUE = re.compile(rb"\b(\d{1,9}) 0 obj\s{0,8}<<[^>]{0,300}?/Type\s{0,8}/Catalog\b")
_DIGITS = re.compile(r"\d+|\b[ivxlc]+\b")
_BULLET = re.compile(r"[\u2022\u25aa\u25cf\u25e6\u2023\u2043\u2013*-]\s|\(?\d{1,2}[.)]\s")
_BROKEN = "\x02\ufffe"  # how pdfium gives a hyphen at which a word was broken
_ENDS = re.compile(r"[.!?:;\u3002][\"'\u201d\u2019)\]]*$")
_NAMES = {"Title": "title", "Author": "author", "Subject": "description", "Keywords": "keywords"}


@dataclass(slots=True)
class Line:
    """A line of a page: its text, where its first letter stands (left, on its baseline), its font's size."""

    text: str
    left: float
    base: float
    size: float


def read(data: bytes, declared: str = "") -> Draft:
    """A PDF with a text layer. Raises Unreadable where it is encrypted, broken, or has no text at all."""
    import pypdfium2

    draft = Draft()
    with _PDFIUM:
        try:
            document = _opened(data)
        except pypdfium2.PdfiumError as error:
            raise _why(error, data) from error
        try:
            pages = _pages(document, draft)
            info = document.get_metadata_dict(skip_empty=True)
        finally:
            document.close()
    draft.metadata |= {name: one_line(clean(info[key])) for key, name in _NAMES.items() if info.get(key)}
    if date := re.match(r"D:(\d{4})(\d\d)?(\d\d)?", info.get("CreationDate", "")):
        draft.metadata["date"] = "-".join(part for part in date.groups() if part)
    draft.metadata["pages"] = str(len(pages))
    if b"%%EOF" not in data[-2048:]:
        draft.lost.append("the end of the file: it is cut off, so pages may be missing")
    if not any(pages):
        raise Unreadable(
            f"No page of {len(pages)} has text: they are scanned.",
            "Recognise the text first (OCR), then read that.",
        )
    _compose(pages, draft)
    draft.finish()
    draft.title = draft.metadata.pop("title", "") or draft.first_heading()
    return draft


def _opened(data: bytes) -> Any:
    """The document. One that is cut off has lost the trailer that says where its pages are; if the catalogue
    is found all the same, a trailer that names it is put behind. Raises PdfiumError.
    """
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:
        catalogue = _CATALOGUE.search(data)
        if b"%%EOF" in data[-2048:] or not catalogue:
            raise
        whole = data[
            : data.rfind(b"endobj") + len(b"endobj")
        ]  # what was cut in two would swallow the trailer
        trailer = b"\ntrailer\n<</Root %s 0 R>>\nstartxref\n0\n%%%%EOF\n" % catalogue[1]
        return pypdfium2.PdfDocument(whole + trailer)


def _why(error: Exception, data: bytes) -> Unreadable:
    said = str(error).lower()
    if "password" in said:
        return Unreadable("The PDF is encrypted, and opens with a password only.", "Save it without one.")
    if "security" in said:
        return Unreadable("The PDF is encrypted in a way that can't be read here.", "Save it without.")
    cut = "" if b"%%EOF" in data[-2048:] else ", and its end is missing: it is cut off"
    return Unreadable(f"The PDF is broken{cut}.", "Get the file again.")


def _pages(document: Any, draft: Draft) -> list[list[Line]]:
    """The lines of each page. Faults of single pages are noted, and the others go on."""
    count = len(document)
    if count > PAGES:
        raise Unreadable(f"The PDF has {count:,} pages, more than the {PAGES:,} that are read.", "Split it.")
    pages: list[list[Line]] = []
    broken, empty, long = [], [], []
    for number in range(1, count + 1):
        lines: list[Line] = []
        try:
            page = document[number - 1]
        except Exception:  # PdfiumError; a page may be anything
            broken.append(number)
        else:
            textpage = page.get_textpage()
            lines, cut = _lines(textpage)
            if cut:
                long.append(number)
            if not lines and _has_objects(page):
                empty.append(number)
            textpage.close()
            page.close()
        pages.append(lines)
    for numbers, what in (
        (broken, "broken"),
        (empty, "pictures without text: scanned"),
        (long, f"only their first {PAGE:,} characters"),
    ):
        if numbers:
            draft.lost.append(f"page{'s' * (len(numbers) > 1)} {ranges(numbers)}: {what}")
    return pages


def _has_objects(page: Any) -> bool:
    import pypdfium2.raw as pdfium

    return bool(pdfium.FPDFPage_CountObjects(page) > 0)


def _lines(textpage: Any) -> tuple[list[Line], bool]:
    """A page's lines, and whether it was cut. A line's place is that of its first letter."""
    import pypdfium2.raw as pdfium

    count = pdfium.FPDFText_CountChars(textpage)
    cut = count > PAGE
    count = min(count, PAGE)
    if count <= 0:
        return [], False
    buffer = (ctypes.c_ushort * (count + 1))()
    got = pdfium.FPDFText_GetText(textpage, 0, count, buffer)
    text = bytes(buffer)[: 2 * max(0, got - 1)].decode("utf-16-le", "replace")
    exact = len(text) == count  # an index into the text is one of pdfium's
    left, base, scale = ctypes.c_double(), ctypes.c_double(), pdfium.FS_MATRIX()
    lines: list[Line] = []
    at = 0
    for raw in text.splitlines(keepends=True):
        said = raw.strip()
        if said:
            first = at + raw.index(said[0])
            if exact and pdfium.FPDFText_GetCharOrigin(textpage, first, left, base):
                pdfium.FPDFText_GetMatrix(textpage, first, scale)
                size = pdfium.FPDFText_GetFontSize(textpage, first) * math.hypot(scale.b, scale.d)
                lines.append(Line(said, left.value, base.value, round(size * 4) / 4))
            else:
                lines.append(Line(said, 0, 0, 0))
        at += len(raw)
    return lines, cut


def _compose(pages: list[list[Line]], draft: Draft) -> None:
    """Blocks from lines. A paragraph that goes on over the end of a page stays one."""
    running = _running(pages)
    if running:
        said = ", ".join(f'"{text[:60]}"' for text in list(running)[:3])
        draft.lost.append(f"running titles, which stand on many pages: {said}")
    sizes: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            sizes[line.size] += len(line.text)
    body = sizes.most_common(1)[0][0]
    larger = sorted((s for s in sizes if s > LARGER * body and body > 0), reverse=True)
    levels = {size: min(6, 1 + rank) for rank, size in enumerate(larger)}
    paragraph = _Paragraph(draft)
    for lines in pages:
        kept = [line for i, line in enumerate(lines) if not (_edge(i, lines) and _mask(line.text) in running)]
        steps = [a.base - b.base for a, b in pairwise(kept) if 0 < a.base - b.base < 4 * a.size]
        usual = median(steps) if steps else 0.0
        paragraph.turn(kept)
        before: Line | None = None
        for line in kept:
            level = levels.get(line.size, 0) if len(line.text) <= LONGEST_HEADING else 0
            paragraph.take(line, before, level, usual)
            before = line
    paragraph.end()


def _edge(i: int, lines: list[Line]) -> bool:
    return len(lines) > 4 and i in (0, len(lines) - 1)


def _mask(text: str) -> str:
    return _DIGITS.sub("#", one_line(text).lower())


def _running(pages: list[list[Line]]) -> dict[str, int]:
    """First and last lines that stand on several pages, their numbers aside, at a place where most pages have
    one."""
    if len(pages) < FEWEST:
        return {}
    places: Counter[int] = Counter()
    seen: Counter[tuple[str, int]] = Counter()
    for lines in pages:
        edges = [line for i, line in enumerate(lines) if _edge(i, lines) and len(line.text) < 120]
        places.update({round(line.base) for line in edges})
        seen.update({(_mask(line.text), round(line.base)) for line in edges})
    running: Counter[str] = Counter()
    for (text, place), count in seen.items():
        near = places[place - 1] + places[place] + places[place + 1]
        if near >= RECURS * len(pages) and count >= (2 if "#" in text else 3):
            running[text] += count
    return dict(sorted(running.items(), key=lambda item: (-item[1], item[0])))


class _Paragraph:
    """The block that is being put together, line by line."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._text = ""
        self._kind: BlockKind = "paragraph"
        self._level = 0
        self._breaks: list[int] = []
        self._left = 0.0
        self._size = 0.0

    def turn(self, lines: list[Line]) -> None:
        """A page begins. What stands there goes on with the block before where that had no end."""
        goes_on = (
            lines
            and self._text
            and self._kind == "paragraph"
            and not _ENDS.search(self._text)
            and lines[0].text[:1].islower()
            and lines[0].size == self._size
        )
        if goes_on:
            self._breaks.append(len(self._text) + 1)
        else:
            self.end()
            self._draft.page()

    def take(self, line: Line, before: Line | None, level: int, usual: float) -> None:
        if self._text and self._new(line, before, level, usual):
            self.end()
        text = clean(line.text.rstrip(_BROKEN))
        if not self._text:
            self._kind = "heading" if level else "list" if _BULLET.match(text) else "paragraph"
            self._level, self._text, self._left = level, text, line.left
        elif self._broken:
            self._text += text
        else:
            item = self._kind == "list" and _BULLET.match(text)
            self._text += ("\n" if item else " ") + text
        self._size = line.size
        self._broken = line.text[-1] in _BROKEN

    _broken: bool | Literal[False] = False

    def _new(self, line: Line, before: Line | None, level: int, usual: float) -> bool:
        if level != self._level or (before is None and not self._breaks):
            return True
        if before is None:
            return False
        if abs(line.size - before.size) > 0.1 * max(line.size, before.size):
            return True
        step = before.base - line.base
        if usual and step > GAP * usual:
            return True
        ended = bool(_ENDS.search(self._text))
        if usual and step < -line.size:  # the next column
            return ended
        bullet = bool(_BULLET.match(line.text))
        if self._kind != "list" and bullet and ended:
            return True
        indent = line.left - before.left
        return self._kind == "paragraph" and ended and 0.5 * line.size < indent < 6 * line.size

    def end(self) -> None:
        if self._text:
            self._draft.add(self._kind, self._text, self._level, self._breaks)
        self._text, self._breaks, self._broken = "", [], False
