"""A tree of elements as blocks: headings, paragraphs, lists, tables and code, in the order of the page.

Inline elements are dissolved first, in C, so that what is walked here is blocks alone. A table that holds
blocks is a layout and is read cell by cell; a list whose items hold blocks likewise.
"""

from typing import TYPE_CHECKING

from handbook.rag.formats.draft import Draft, one_line

if TYPE_CHECKING:
    from lxml.etree import _Element

ENVELOPE = 0.9  # share of a page's characters that a single `pre` has where the page is a text
DEPTH = 200  # of blocks within blocks; what is deeper is read as one text
HTML = {f"h{level}": level for level in range(1, 7)}
HEAVY = (
    "pre",
    "table",
    "blockquote",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "section",
    "article",
    "div",
)


class Outlined:
    """Reads a tree into a draft.

    dialect: "html", or "tei" for the elements that trafilatura gives.
    """

    def __init__(self, draft: Draft, dialect: str = "html") -> None:
        self._draft = draft
        self._tei = dialect == "tei"
        self._words: list[str] = []  # of the paragraph that is being read

    def read(self, root: "_Element") -> None:
        from lxml import etree

        from handbook.rag.formats.html import INLINE

        if self._tei:
            etree.strip_tags(root, "hi", "ref", "del", "graphic")
            for element, tag in (("item", "li"), ("list", "ul"), ("cell", "td"), ("row", "tr"), ("lb", "br")):
                for found in root.iter(element):
                    found.tag = tag
            for found in root.iter("code"):
                found.tag = "pre"
            for found in root.iter("head"):
                found.tag = found.get("rend") if found.get("rend") in HTML else "h2"
        else:
            self._unmark_text_pages(root)
            etree.strip_tags(root, *INLINE)
        self._visit(root, 0)
        self._flush()

    def _unmark_text_pages(self, root: "_Element") -> None:
        """A page that is one `pre` is a text in an envelope, and no code."""
        pre = root.findall(".//pre")
        if len(pre) == 1 and len("".join(pre[0].itertext())) > ENVELOPE * len("".join(root.itertext())):
            text = "".join(pre[0].itertext())
            for child in list(pre[0]):
                pre[0].remove(child)
            pre[0].text = ""
            for part in text.split("\n\n"):
                self._draft.add("paragraph", part)

    def _flush(self) -> None:
        if self._words:
            text = "".join(self._words)
            self._words.clear()
            if text and not text.isspace():
                self._draft.add("paragraph", "\n".join(filter(None, map(one_line, text.split("\0")))))

    def _visit(self, element: "_Element", depth: int) -> None:
        words = self._words
        if element.text:
            words.append(element.text)
        for child in element:
            tag = child.tag
            if tag == "br":
                words.append("\0")
            elif not isinstance(tag, str):
                pass  # an entity or a comment that was left
            else:
                self._flush()
                self._block(child, tag, depth)
                self._flush()
            if child.tail:
                words.append(child.tail)

    def _block(self, child: "_Element", tag: str, depth: int) -> None:
        if tag in HTML:
            self._draft.add("heading", _heading(" ".join(child.itertext())), HTML[tag])
        elif tag == "pre":
            for line_break in child.iter("br"):
                line_break.text = "\n"
            self._draft.add("code", "".join(child.itertext()).expandtabs(4))
        elif depth > DEPTH:
            self._words.append("".join(child.itertext()))
        elif tag in ("ul", "ol") and not _holds(child, HEAVY):
            self._draft.add("list", "\n".join(_items(child, 0)))
        elif tag == "table" and not _holds(child, ("table", *HTML)) and (rows := _rows(child)):
            self._draft.add("table", "\n".join(rows))
        else:
            self._visit(child, depth + 1)


def _heading(text: str) -> str:
    return one_line(text).strip("#\u00b6\u00a7\U0001f517 ")


def _holds(element: "_Element", tags: tuple[str, ...]) -> bool:
    inner = element.iter(*tags)
    found = next(inner, None)
    return (next(inner, None) if found is element else found) is not None


def _items(element: "_Element", depth: int) -> list[str]:
    """A list as lines, its inner lists indented."""
    lines: list[str] = []
    number = 0
    for item in element:
        if item.tag in ("ul", "ol"):  # not within an item, as it should be
            lines += _items(item, depth + 1) if depth < DEPTH else []
        if item.tag != "li":
            continue
        number += 1
        mark = f"{number}." if element.tag == "ol" else "-"
        own = [item.text or ""]
        inner: list[str] = []
        for child in item:
            if child.tag in ("ul", "ol") and depth < DEPTH:
                inner += _items(child, depth + 1)
            elif isinstance(child.tag, str):
                own += [" ", *(text for text in child.itertext())]
            own.append(" " + (child.tail or ""))
        if said := one_line("".join(own)):
            lines.append(f"{'  ' * depth}{mark} {said}")
        lines += inner
    return lines


def _rows(table: "_Element") -> list[str]:
    """A table as lines of cells with bars between; none where it has a single column."""
    rows = []
    widest = 0
    for row in table.iter("tr"):
        cells = [one_line(" ".join(cell.itertext())) for cell in row if cell.tag in ("td", "th")]
        widest = max(widest, len(cells))
        if any(cells):
            rows.append(" | ".join(cells))
    caption = table.find("caption")
    if caption is not None and (said := one_line("".join(caption.itertext()))):
        rows.insert(0, said)
    return rows if widest > 1 else []
