"""HTML: what a reader of the page sees, without what stands on every page of its site.

Where the page says which part is its content (`main`, `article`), that part is read. Where it doesn't and is
full of links, trafilatura decides (Barbaresi 2021, "Trafilatura", ACL demos); it takes a hundred times as
long. A page with few links is read whole. Nothing is run and nothing is loaded. Not seen: what scripts would
write, and what style sheets hide.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from handbook.rag.formats.characters import clean
from handbook.rag.formats.draft import Draft, one_line
from handbook.rag.formats.faults import MARKUP, Unreadable, too_large
from handbook.rag.formats.outlined import Outlined
from handbook.rag.formats.plain import text_of

if TYPE_CHECKING:
    from lxml.etree import _Element

LINKED = 0.3  # share of a page's characters that are links, above which it is asked what its content is
CONTENT = 0.2  # share of a page's characters that a marked part must have to be its content
LEAST = 400  # characters that are no links, below which a page is a list of links
CAREFUL = 1 << 20  # bytes of a page, above which trafilatura is not asked
_DECLARED = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]{2,40})|<\?xml[^>]{0,200}encoding=[\"']([\w.:-]+)", re.I
)
JUNK = (  # what is no text, or not the page's
    *(
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "canvas",
        "audio",
        "video",
        "iframe",
        "object",
        "embed",
    ),
    *(
        "select",
        "option",
        "button",
        "input",
        "textarea",
        "nav",
        "link",
        "dialog",
        "datalist",
        "map",
        "annotation",
    ),
)
GONE = "gone"  # the name of what is taken out
FRAME = ("header", "footer", "aside")  # of a page; within its content they are content
INLINE = (
    *(
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
    ),
    *(
        "ins",
        "kbd",
        "label",
        "mark",
        "math",
        "meter",
        "nobr",
        "output",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
    ),
    *(
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
        "mi",
        "mn",
        "mo",
        "mrow",
        "msub",
    ),
)
ROLES = ("navigation", "banner", "contentinfo", "search", "complementary")  # of a site's frame
_UNSHOWN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
META = {
    **dict.fromkeys(("author", "article:author", "dc.creator", "citation_author"), "author"),
    **dict.fromkeys(("date", "article:published_time", "dc.date", "citation_publication_date"), "date"),
    **dict.fromkeys(("description", "og:description", "dc.description"), "description"),
    **dict.fromkeys(("keywords",), "keywords"),
    **dict.fromkeys(("og:site_name",), "site"),
}


@cache
def _paths() -> Any:
    """The compiled queries, by what they find. Each is one pass: unions and parents take time with the
    square.
    """
    from lxml import etree

    return {
        name: etree.XPath(path)
        for name, path in {
            "hidden": "//*[@hidden]",
            "unread": "//*[@aria-hidden='true']",
            "styled": "//*[@style]",
            "roles": "//*[@role]",
            "length": "string-length(normalize-space(.))",
            "main": "//*[self::main or @role='main']",
            "articles": "//article[not(ancestor::article)]",
            "frame": f"/html/body//*[{' or '.join(f'self::{tag}' for tag in FRAME)}]",
            "links": "//a[@href]",
            "counts": "//*[self::script or self::iframe or self::img]",
        }.items()
    }


def read(data: bytes, declared: str = "") -> Draft:
    """A page. Raises Unreadable for one too large, and for one that has no text."""
    too_large(data, MARKUP, "A page")
    draft = Draft()
    if not declared and (match := _DECLARED.search(data, 0, 4096)):
        declared = (match[1] or match[2]).decode("ascii", "replace")
    root = _tree(clean(text_of(data, draft, declared)), draft)
    _head(root, draft)
    scripts = _without_junk(root, draft)
    whole = _length(root)
    content = _marked(root, whole)
    if content is None and _asks(root, whole, len(data)) and _by_trafilatura(root, draft):
        draft.metadata["read"] = "trafilatura"
    else:
        if content is None:
            content = _without_frame(root)
        Outlined(draft).read(content)
    draft.finish()
    if not draft.text:
        remedy = (
            "Its text is written by scripts; save the page as it shows, and read that." if scripts else ""
        )
        raise Unreadable(f"The page has no text ({scripts} scripts).", remedy)
    draft.title = draft.title or draft.first_heading()
    return draft


def _tree(text: str, draft: Draft) -> "_Element":
    """The page's tree, within libxml2's own limits on depth and size; no entity is loaded from anywhere."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    try:
        root = etree.fromstring(text.encode("utf-8"), parser=parser)
    except (etree.LxmlError, ValueError) as error:
        raise Unreadable(f"This page can't be parsed: {error}.") from error
    if root is None:
        raise Unreadable("The page has no text.")
    fatal = [fault for fault in parser.error_log if fault.level_name == "FATAL"]
    if fatal:
        draft.lost.append(f"parts of the page from line {fatal[0].line} on: {fatal[0].message.strip()}")
    return root


def _head(root: "_Element", draft: Draft) -> None:
    """Title, language and metadata, as the page declares them."""
    title = root.find(".//title")
    draft.title = one_line("".join(title.itertext()))[:300] if title is not None else ""
    draft.language = (root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang") or "")[:12]
    for meta in root.iter("meta"):
        key = META.get((meta.get("name") or meta.get("property") or "").lower())
        if key and key not in draft.metadata and (value := one_line(meta.get("content") or "")):
            draft.metadata[key] = value[:500]


def _without_junk(root: "_Element", draft: Draft) -> int:
    """Take out what is not shown, and what is a site's; says how many scripts there were."""
    from lxml import etree

    seen = [element.tag for element in _paths()["counts"](root)]
    for tag, what in (("img", "pictures"), ("iframe", "frames")):
        if count := seen.count(tag):
            draft.lost.append(f"{count} {what}")
    etree.strip_elements(root, "head", *JUNK, with_tail=False)
    unshown = _paths()["hidden"](root) + _paths()["unread"](root)
    unshown += [element for element in _paths()["styled"](root) if _UNSHOWN.search(element.get("style"))]
    unshown += [element for element in _paths()["roles"](root) if element.get("role") in ROLES]
    _drop(root, unshown)
    return seen.count("script")


def _drop(root: "_Element", elements: "list[_Element]") -> None:
    """Take elements out, and leave the text after them: all at once, since text that grows piece by piece
    takes time with its square.
    """
    from lxml import etree

    for element in elements:
        if element is not root and element.tag not in ("html", "body"):
            element.tag = GONE
    etree.strip_elements(root, GONE, with_tail=False)


def _length(element: "_Element") -> int:
    """Characters of an element's text."""
    return int(_paths()["length"](element))


def _marked(root: "_Element", whole: int) -> "_Element | None":
    """The part that the page marks as its content, where it is one and no small share of it."""
    for name in ("main", "articles"):
        found = _paths()[name](root)
        if len(found) == 1 and _length(found[0]) >= CONTENT * whole > 0:
            return found[0]
    return None


def _asks(root: "_Element", whole: int, size: int) -> bool:
    """Whether the page is so full of links that its content has to be told from them, and has any."""
    if size > CAREFUL:
        return False
    linked = sum(len("".join(link.itertext())) for link in _paths()["links"](root))
    return linked > LINKED * whole and whole - linked > LEAST


def _without_frame(root: "_Element") -> "_Element":
    """The page's body without its header, footer and asides, where something remains."""
    body = root.find("body")
    body = root if body is None else body
    frame = _paths()["frame"](root)
    if sum(map(_length, frame)) < 0.8 * _length(body):
        _drop(body, frame)
    return body


def _by_trafilatura(root: "_Element", draft: Draft) -> bool:
    """Read what trafilatura takes for the content; whether it found any."""
    from lxml import etree
    from trafilatura import bare_extraction

    page = etree.tostring(root, encoding="unicode", method="html")
    found = bare_extraction(page, with_metadata=False, include_comments=False, include_formatting=False)
    body = getattr(found, "body", None)
    if body is None or _length(body) < LEAST // 2:
        return False
    Outlined(draft, dialect="tei").read(body)
    return bool(draft.blocks)
