"""Chapters and fragments as semantic HTML: no inline style, no script, nothing that Markdown smuggled in.

Every text is escaped; a link goes only to the web, to this site, or nowhere (a `<span class="dangling">`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import Any, cast

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from handbook.book import markdown, svg
from handbook.book.blocks import INCLUDE, Block
from handbook.book.highlight import highlight
from handbook.book.links import href
from handbook.book.notes import cite_note, claim_note
from handbook.book.nouns import Book, Chapter

KIND_NAMES = {
    "ask": "The interviewer asks",
    "worked": "Worked example",
    "myth": "A common belief",
    "when-not": "When not to",
    "follow-up": "Follow-up",
    "definition": "Definition",
}
NOTED = ("claim", "cite")


@dataclass(frozen=True, slots=True)
class Rendered:
    html: str
    title: str


@dataclass
class Context:
    """What the rules need to know. notes: claims and sources met, not yet shown; None without a margin."""

    book: Book
    chapter: Chapter
    notes: list[tuple[str, str]] | None = None
    shown: set[tuple[str, str]] = field(default_factory=set)
    open: list[str] = field(default_factory=list)

    def link(self, scheme: str, target: str) -> str | None:
        if scheme in NOTED and self.notes is None:
            if scheme == "cite":
                return f"/references#{target}" if target in self.book.references else None
            claim = self.book.claims.get(target)
            return f"/book/{claim.chapter}#note-claim-{target}" if claim else None
        return href(self.book, self.chapter, scheme, target)


Env = MutableMapping[str, Any]


def _context(env: Env) -> Context:
    return cast(Context, env["context"])


def _link_open(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Env) -> str:
    context = _context(env)
    scheme, target = markdown.split(str(tokens[index].attrs.get("href", "")))
    url = context.link(scheme, target)
    if url is None:
        context.open.append("</span>")
        return '<span class="dangling">'
    context.open.append("</a>")
    attributes = [("class", {"web": "external", "anchor": "inner"}.get(scheme, scheme)), ("href", url)]
    if scheme == "web":
        attributes.append(("rel", "noopener noreferrer"))
    if scheme in NOTED and context.notes is not None:
        attributes += [(f"data-{scheme}", target), ("aria-describedby", f"note-{scheme}-{target}")]
        if (scheme, target) not in context.shown:
            context.shown.add((scheme, target))
            context.notes.append((scheme, target))
    return "<a " + " ".join(f'{name}="{escape(value)}"' for name, value in attributes) + ">"


def _link_close(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Env) -> str:
    return _context(env).open.pop()


def _math(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Env) -> str:
    tex = escape(tokens[index].content)
    return f'<span class="math" data-tex="{tex}">{tex}</span>'


def _math_block(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Env) -> str:
    token = tokens[index]
    tex = escape(token.content.strip())
    return f'<div class="math block"{_id(str(token.attrs.get("id", "")))} data-tex="{tex}">{tex}</div>\n'


def _code(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Env) -> str:
    token = tokens[index]
    language = token.info.split()[0] if token.info.split() else ""
    name = f" language-{escape(language)}" if language.isalnum() else ""
    code = highlight(token.content.rstrip("\n") + "\n", language)
    caption = ""
    if found := INCLUDE.search(token.info):
        url = _context(env).link("code", found[1])
        link = f'<a class="code" href="{escape(url or "")}"><code>{escape(found[1])}</code></a>'
        caption = f"<figcaption>{link}</figcaption>"
    return (
        f'<figure class="code"{_id(str(token.attrs.get("id", "")))}>{caption}'
        f'<pre tabindex="0"><code class="highlight{name}">{code}</code></pre></figure>\n'
    )


def _image(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Env) -> str:
    text = escape(markdown.plain(tokens[index].children or []))
    return f'<span class="dangling">{text}</span>'


def _cell(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Env) -> str:
    token = tokens[index]
    side = str(token.attrs.get("style", "")).removeprefix("text-align:")
    scope = ' scope="col"' if token.tag == "th" else ""
    return f"<{token.tag}{scope}" + (f' class="align-{side}">' if side else ">")


@lru_cache
def renderer() -> RendererHTML:
    md = markdown.parser()
    assert isinstance(md.renderer, RendererHTML)
    made = RendererHTML(md)
    made.rules.update({name: rule for name, rule in md.renderer.rules.items() if name.startswith("footnote")})
    rules = {
        "link_open": _link_open,
        "link_close": _link_close,
        "math_inline": _math,
        "math_inline_double": _math,
        "math_block": _math_block,
        "fence": _code,
        "code_block": _code,
        "image": _image,
        "th_open": _cell,
        "td_open": _cell,
    }
    made.rules.update({name: cast(Any, rule).__get__(made) for name, rule in rules.items()})
    return made


def _id(id: str) -> str:
    return f' id="{escape(id)}"' if id else ""


def _mark(anchor: str, what: str) -> str:
    """The small link by which a reader copies an address."""
    if not anchor:
        return ""
    id = escape(anchor)
    sign = '<span aria-hidden="true">#</span>'
    return f' <a class="anchor" href="#{id}" aria-label="Link to this {what}">{sign}</a>'


def _inline(text: str, context: Context) -> str:
    md = markdown.parser()
    (token,) = md.parseInline(text)
    return renderer().renderInline(token.children or [], md.options, {"context": context})


def _tokens(tokens: Sequence[Token], context: Context) -> str:
    return str(renderer().render(tokens, markdown.parser().options, {"context": context}))


def _addressed(tokens: Sequence[Token], anchor: str) -> list[Token]:
    """The tokens, the first with the block's id; an id on a paragraph without a tag moves to its item."""
    out = list(tokens)
    if anchor:
        out[0] = out[0].copy(attrs={**out[0].attrs, "id": anchor})
    for index, token in enumerate(out[1:], 1):
        if token.hidden and "id" in token.attrs and out[index - 1].type == "list_item_open":
            item = out[index - 1]
            out[index - 1] = item.copy(attrs={**item.attrs, "id": token.attrs["id"]})
    return out


def _figure(block: Block, context: Context) -> str:
    path = context.chapter.figures.get(block.name)
    caption = block.tokens[1].children or []
    label = f"fig-{block.name}-caption"
    text = path.read_text(encoding="utf-8", errors="replace") if path and path.is_file() else ""
    text = text.partition("-->")[2] if text.startswith("<!--") else text
    sentence = renderer().renderInline(
        caption[0].children or [], markdown.parser().options, {"context": context}
    )
    drawing = svg.inline(text, f"fig-{block.name}-", label) if text and not svg.unsafe(text.strip()) else ""
    if not drawing:
        drawing = '<p class="dangling">This figure is not drawn.</p>'
    return (
        f'<figure class="figure"{_id(block.anchor)}>{drawing}'
        f'<figcaption id="{escape(label)}">{sentence}</figcaption></figure>\n'
    )


def _leaf(block: Block, context: Context) -> str:
    if block.kind == "figure":
        return _figure(block, context)
    if block.kind == "paragraph":
        inside = renderer().renderInline(
            block.tokens[1].children or [], markdown.parser().options, {"context": context}
        )
        return f"<p{_id(block.anchor)}>{inside}{_mark(block.anchor, 'paragraph')}</p>\n"
    if block.kind == "table":
        first, *rest = block.tokens
        first = first.copy(attrs={name: value for name, value in first.attrs.items() if name != "id"})
        table = _tokens([first, *rest], context)  # its address is the region's
        region = 'tabindex="0" role="region" aria-label="Table"'
        return f'<div class="table"{_id(block.anchor)} {region}>{table}</div>\n'
    return _tokens(_addressed(block.tokens, block.anchor), context)


def _box(block: Block, context: Context) -> str:
    kind = escape(block.name)
    name = KIND_NAMES.get(block.name, "")
    title = _inline(block.title, context) if block.title and block.title.casefold() != name.casefold() else ""
    label = f'<span class="box-kind">{name}</span>' if name and block.name != "definition" else ""
    head = (
        f'<p class="box-title">{label}{" " if label and title else ""}{title}</p>\n' if label or title else ""
    )
    if block.name == "definition":
        return f'<aside class="note definition"{_id(block.anchor)}>{head}'
    return f'<div class="box box-{kind}"{_id(block.anchor)}>{head}'


def _notes(context: Context) -> str:
    """Asides of what the last block was the first to mention."""
    parts = []
    for scheme, target in context.notes or []:
        if scheme == "claim":
            parts.append(claim_note(context.book.claims[target]))
        else:
            parts.append(cite_note(context.book.references[target]))
    if context.notes is not None:
        context.notes.clear()
    return "".join(parts)


def _page(context: Context) -> str:
    parts: list[str] = []
    levels: list[int] = []
    for block in context.chapter.blocks:
        if block.kind == "heading":
            while levels and levels[-1] >= block.level:
                levels.pop()
                parts.append("</section>\n")
            levels.append(block.level)
            inside = renderer().renderInline(
                block.tokens[1].children or [], markdown.parser().options, {"context": context}
            )
            tag = f"h{block.level}"
            parts.append(f'<section id="{escape(block.anchor)}">\n')
            parts.append(f"<{tag}>{inside}{_mark(block.anchor, 'section')}</{tag}>\n")
        elif block.kind == "box":
            parts.append(_box(block, context))
        elif block.kind == "box-end":
            parts.append("</aside>\n" if block.name == "definition" else "</div>\n")
        else:
            if block.kind == "footnotes":  # of the page, not of its last section
                parts += ["</section>\n"] * len(levels)
                levels.clear()
            parts.append(_leaf(block, context))
        parts.append(_notes(context))
    parts += ["</section>\n"] * len(levels)
    return "".join(parts)


_rendered: dict[str, tuple[str, Rendered]] = {}


def _key(book: Book, chapter: Chapter) -> str:
    """Hash of everything that the page shows: its text, where its links lead, claims, sources, figures."""
    digest = hashlib.sha256(f"{book.root}\0{chapter.title}\0{chapter.summary}\0{chapter.text}".encode())
    for link in chapter.links:
        digest.update(
            repr((link.scheme, link.target, href(book, chapter, link.scheme, link.target))).encode()
        )
        if link.scheme in NOTED:
            known: Mapping[str, object] = book.claims if link.scheme == "claim" else book.references
            digest.update(repr(known.get(link.target)).encode())
    for path in chapter.figures.values():
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def render(book: Book, chapter: Chapter) -> Rendered:
    """The body of a chapter's page. Cached per chapter until something that it shows changes."""
    key = _key(book, chapter)
    cached = _rendered.get(chapter.path)
    if cached and cached[0] == key:
        return cached[1]
    context = Context(book, chapter, notes=[])
    html = (
        _page(context) if chapter.source else f'<p class="summary">{_inline(chapter.summary, context)}</p>\n'
    )
    rendered = Rendered(html, chapter.title)
    _rendered[chapter.path] = (key, rendered)
    return rendered


def render_fragment(book: Book, chapter: Chapter, text: str) -> str:
    """Markdown outside of a page: a prompt, an answer, a statement. Headings one level lower, no notes."""
    tokens = [
        token.copy(tag=f"h{min(6, int(token.tag[1]) + 1)}") if token.type.startswith("heading") else token
        for token in markdown.parse(text).tokens
        if token.type not in ("container_box_open", "container_box_close", "front_matter")
    ]
    return _tokens(_addressed(tokens, "") if tokens else [], Context(book, chapter))


def render_inline(book: Book, chapter: Chapter, text: str) -> str:
    """One line of Markdown without a paragraph around it: a title, a hint, a criterion."""
    return _inline(text.strip(), Context(book, chapter))
