"""From tokens to blocks with addresses: sections, paragraphs, boxes, figures, and the links in each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from markdown_it.token import Token

from handbook.book.markdown import Parsed, closing, plain, split
from handbook.book.nouns import Link, Paragraph, Section

ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
BOXES = ("ask", "worked", "myth", "when-not", "follow-up", "definition")
RESERVED = ("note-", "fig-", "fn")
INCLUDE = re.compile(r"(?:^|\s)code=(\S+)")
KINDS = {
    "paragraph_open": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
    "blockquote_open": "quote",
    "math_block": "math",
    "fence": "code",
    "code_block": "code",
    "hr": "rule",
    "footnote_block_open": "footnotes",
}
_SPAN = re.compile(r"(`+).+?\1|\$[^$]+\$|<https?://[^<>\s]+>", re.DOTALL)
_SUSPECTS = (
    (
        re.compile(r"(?<!\\)</?[A-Za-z][A-Za-z0-9-]*(?:\s[^<>]*)?/?>"),
        "raw-html",
        "Raw HTML is not understood",
        "Write Markdown, or put it in backquotes.",
    ),
    (
        re.compile(r"(?<!\\)\{#[^}\s]*\}"),
        "stray-attribute",
        "An id in the middle of text",
        "Put it on a line of its own, after an empty line and directly above its block.",
    ),
    (
        re.compile(r"(?<!\\)\\[A-Za-z]{2,}"),
        "stray-tex",
        "TeX outside of math",
        "Write $...$ with no space inside the dollars and no digit directly after them.",
    ),
    (
        re.compile(r"(?<!\\)\[\^[^\]\s]+\](?!\()"),
        "dangling-footnote",
        "A footnote that nothing defines",
        "Write `[^name]: text` at the end.",
    ),
    (
        re.compile(r"^:::+", re.MULTILINE),
        "stray-box",
        "A box fence that opens or closes nothing",
        "Remove it.",
    ),
)

_TELLTALE = re.compile(r"[<\\]|\{#|\[\^|:::")  # every suspect has one of these

Report = Callable[[str, int, str, str], None]


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a page, in order. kind: a kind of KINDS, figure, heading, box or box-end.

    name: kind of box, name of figure, symbol of included code. title: of heading or box.
    anchor: "" where the block has no address.
    """

    kind: str
    tokens: Sequence[Token]
    line: int
    end: int
    section: str
    anchor: str = ""
    name: str = ""
    title: str = ""
    level: int = 0


@dataclass
class Page:
    """What a text contains. anchors: id -> line."""

    sections: list[Section] = field(default_factory=list)
    paragraphs: list[Paragraph] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    words: int = 0


def text_of(tokens: Sequence[Token]) -> str:
    """Plain text of a block: list items and table rows on lines of their own, cells joined by `|`."""
    parts: list[str] = []
    for token in tokens:
        if token.type == "inline":
            parts.append(plain(token.children or []))
        elif token.type in ("fence", "code_block"):
            parts.append(token.content.rstrip("\n"))
        elif token.type == "math_block":
            parts.append(f"$${token.content.strip()}$$")
        elif token.type in ("list_item_close", "tr_close", "paragraph_close") and parts and parts[-1] != "\n":
            parts.append("\n")
        elif token.type in ("td_close", "th_close"):
            parts.append(" | ")
    return re.sub(r"[ \t]*(?:\|[ \t]*)?\n\s*", "\n", "".join(parts)).strip()


def links_of(tokens: Sequence[Token], anchor: str, shift: int = 0) -> Iterator[Link]:
    """Each link, image and included symbol. shift: lines between the top of the file and of the text."""
    line = 1
    for token in tokens:
        if token.map:
            line = token.map[0] + 1 + shift
        if token.type == "fence" and (found := INCLUDE.search(token.info)):
            yield Link("include", found[1], token.content, line, anchor)
        if token.type != "inline":
            continue
        at = line
        children = token.children or []
        for index, child in enumerate(children):
            if child.type in ("softbreak", "hardbreak"):
                at += 1
            elif child.type in ("math_inline", "math_inline_double"):
                at += child.content.count("\n")
            elif child.type == "link_open":
                inside = children[index + 1 : closing(children, index) - 1]
                yield Link(*split(str(child.attrs["href"])), plain(inside), at, anchor)
            elif child.type == "image":
                yield Link(*split(str(child.attrs["src"])), plain(child.children or []), at, anchor)


def _blank(span: re.Match[str]) -> str:
    """As long, in as many lines, with nothing in it."""
    return "\n".join(" " * len(line) for line in span[0].split("\n"))


def suspects(tokens: Sequence[Token], report: Report, shift: int = 0) -> None:
    """Report what looks like markup that was not understood."""
    for token in tokens:
        if token.type != "inline" or not _TELLTALE.search(token.content):
            continue
        text = _SPAN.sub(_blank, token.content)
        for pattern, kind, what, remedy in _SUSPECTS:
            for match in pattern.finditer(text):
                line = (token.map or [0])[0] + 1 + shift + text[: match.start()].count("\n")
                if kind == "dangling-footnote" and _is_reference(token, match[0]):
                    continue
                report(kind, line, f"{what}: {match[0]}.", remedy)


def _is_reference(token: Token, text: str) -> bool:
    found = [c for c in token.children or [] if c.type == "footnote_ref"]
    return any(f"[^{c.meta.get('label')}]" == text for c in found)


def _figure(tokens: Sequence[Token]) -> Token | None:
    """The image of a paragraph that is nothing but a figure."""
    children = (tokens[1].children or []) if len(tokens) == 3 else []
    if (
        len(children) == 1
        and children[0].type == "image"
        and split(str(children[0].attrs["src"]))[0] == "figure"
    ):
        return children[0]
    return None


class _Walk:
    """Goes through the tokens once and fills a Page."""

    def __init__(self, parsed: Parsed, source: str, report: Report) -> None:
        self.tokens = parsed.tokens
        self.lines = source.splitlines()
        self.report = report
        self.page = Page()
        self.section = ""
        self.count = 0

    def claim(self, id: str, line: int) -> None:
        """Give an address away, once."""
        if id in self.page.anchors:
            what = f"The id {id} is used again; first in line {self.page.anchors[id]}."
            self.report("duplicate-id", line, what, "Give each its own.")
            return
        if not ID.fullmatch(id) or id.startswith(RESERVED):
            what = f"The id {id!r} is not lower-case words joined by hyphens, or is one of the page's own."
            self.report("bad-id", line, what, f"Rename it; it may not start with {', '.join(RESERVED)}.")
        self.page.anchors[id] = line

    def walk(self, start: int, end: int, box: str = "", owned: bool = False) -> None:
        """owned: a box with an id is around these blocks, so they get none unless they say one."""
        while start < end:
            stop = closing(self.tokens, start)
            token = self.tokens[start]
            line = (token.map or [0])[0] + 1
            if token.type == "heading_open":
                self.heading(self.tokens[start:stop], line, bool(box))
            elif token.type == "container_box_open":
                self.box(start, stop, line, owned)
            elif token.type != "front_matter":
                self.leaf(self.tokens[start:stop], line, box, owned)
            start = stop

    def heading(self, tokens: Sequence[Token], line: int, boxed: bool) -> None:
        level, title = int(tokens[0].tag[1]), plain(tokens[1].children or [])
        id = str(tokens[0].attrs.get("id", ""))
        if boxed or level == 1:
            self.report(
                "bad-heading",
                line,
                f"The heading {title!r} is {'inside a box' if boxed else 'of level 1'}.",
                "Use ## and ###, outside of boxes; the title stands in the front matter.",
            )
            return
        if not id:
            self.report("no-id", line, f"The heading {title!r} has no id.", "Write `## Title {#id}`.")
            id = f"section-{len(self.page.sections) + 1}"
        self.claim(id, line)
        self.section, self.count = id, 0
        self.page.sections.append(Section(id, title, level, line))
        self.page.blocks.append(Block("heading", tokens, line, line, id, id, title=title, level=level))
        self.page.links.extend(links_of(tokens, id))

    def box(self, start: int, stop: int, line: int, owned: bool) -> None:
        token = self.tokens[start]
        kind, _, title = token.info.strip().partition(" ")
        title = title.strip()
        last = (token.map or [0, line])[1]
        if kind not in BOXES:
            self.report("unknown-box", line, f"There is no box called {kind}.", f"Boxes: {', '.join(BOXES)}.")
        if last >= len(self.lines) or not self.lines[last].lstrip(" >").startswith(":::"):
            self.report("open-box", line, f"The box {kind} {title!r} is never closed.", "End it with `:::`.")
        anchor = str(token.attrs.get("id", ""))
        if anchor:
            self.claim(anchor, line)
            text = "\n".join(filter(None, (title, text_of(self.tokens[start + 1 : stop - 1]))))
            self.page.paragraphs.append(Paragraph(anchor, self.section, text, line, "box", title))
        self.page.blocks.append(Block("box", (), line, last, self.section, anchor, kind, title))
        self.walk(start + 1, stop - 1, title or kind, owned or bool(anchor))
        self.page.blocks.append(Block("box-end", (), last, last, self.section, name=kind))

    def leaf(self, tokens: Sequence[Token], line: int, box: str, owned: bool) -> None:
        token = tokens[0]
        kind, name = KINDS.get(token.type, "other"), ""
        given = str(token.attrs.get("id", ""))
        if figure := _figure(tokens):
            kind, name = "figure", split(str(figure.attrs["src"]))[1]
        if token.type == "fence" and (found := INCLUDE.search(token.info)):
            name = found[1]
        anchor = given
        if kind not in ("rule", "footnotes", "other"):
            self.count += 1
            anchor = given or ("" if owned else f"{self.section or 'top'}-p{self.count}")
        if anchor:
            self.claim(anchor, line)
        text = text_of(tokens)
        if anchor and (given or not owned):
            self.page.paragraphs.append(Paragraph(anchor, self.section, text, line, kind, box))
        for inner in tokens[1:]:
            if "id" in inner.attrs and inner.nesting >= 0:
                self.nested(tokens, inner, box)
        if kind not in ("code", "math"):
            self.page.words += len(re.sub(r"\$[^$]*\$", "x", text).split())
        end = (token.map or [0, line])[1]
        self.page.blocks.append(Block(kind, tokens, line, end, self.section, anchor, name))
        self.page.links.extend(links_of(tokens, anchor or ("" if kind == "footnotes" else self.section)))
        suspects(tokens, self.report)

    def nested(self, tokens: Sequence[Token], inner: Token, box: str) -> None:
        id, line = str(inner.attrs["id"]), (inner.map or [0])[0] + 1
        start = next(i for i, token in enumerate(tokens) if token is inner)
        self.claim(id, line)
        text = text_of(tokens[start : closing(tokens, start)])
        self.page.paragraphs.append(Paragraph(id, self.section, text, line, "item", box))


def read(parsed: Parsed, source: str, report: Report) -> Page:
    """The page of a parsed text. Faults go to `report(kind, line, what, remedy)`."""
    walk = _Walk(parsed, source, report)
    for line, what in parsed.lost:
        report(
            "stray-attribute", line, f"This line {what}.", "Remove it, or put it directly above its block."
        )
    walk.walk(0, len(walk.tokens))
    return walk.page
