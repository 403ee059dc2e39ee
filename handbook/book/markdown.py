"""Markdown as the book writes it: CommonMark, tables, math, footnotes, boxes, `{#id}`. Raw HTML is text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.attrs import attrs_block_plugin
from mdit_py_plugins.container import container_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.dollarmath.index import math_inline_dollar
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

SCHEMES = ("cite", "claim", "code", "lab", "question", "exercise", "chapter", "figure", "zoo")
WEB = ("https", "http", "mailto")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_HEADING_ID = re.compile(r"\s*\{#([^\s{}]*)\}\s*$")
_ID_LINE = re.compile(r"^\s*\{.*\}\s*$")

Render = Callable[..., str]


@dataclass(frozen=True)
class Parsed:
    """Tokens of a text. lost: (line, what) of attribute lines that attach to nothing or say too much."""

    tokens: Sequence[Token]
    lost: tuple[tuple[int, str], ...]


def split(href: str) -> tuple[str, str]:
    """Scheme and target of a link as written: ('anchor', 'id') for `#id`, ('', href) for what has none."""
    if href.startswith("#"):
        return "anchor", href[1:]
    match = _SCHEME.fullmatch(href)
    if not match:
        return "", href
    scheme = match[1].lower()
    return ("web", href) if scheme in WEB else (scheme, match[2])


def _heading_ids(state: StateCore) -> None:
    for token, inline in zip(state.tokens, state.tokens[1:], strict=False):
        if token.type == "heading_open" and (match := _HEADING_ID.search(inline.content)):
            inline.content = inline.content[: match.start()]
            token.attrs["id"] = match[1]


def _note_attributes(state: StateCore) -> None:
    wanted = [t for t in state.tokens if t.type == "attrs_block"]
    state.env["attribute_lines"] = [
        ((t.map or [0])[0] + 1, str(t.attrs.get("id", "")), set(t.attrs) - {"id"}) for t in wanted
    ]


def _lost_attributes(state: StateCore) -> None:
    placed = {str(t.attrs["id"]) for t in state.tokens if "id" in t.attrs}
    lost = []
    for line, id, others in state.env.pop("attribute_lines", []):
        if others:
            lost.append((line, f"says {', '.join(sorted(others))}; only an id is understood"))
        if id and id not in placed:
            lost.append((line, f"gives the id {id} to nothing: no block follows it"))
    state.env["lost"] = tuple(lost)


def _anything(url: str) -> bool:
    return True


def _as_written(url: str) -> str:
    return url


_dollars = math_inline_dollar(allow_space=False, allow_digits=False)


def _math_inline(state: StateInline, silent: bool) -> bool:
    """The plugin's rule takes the last character for the one before the first: `$q$ at 3` was no math."""
    if state.pos > 0 or not state.src[-1:].isdigit():
        return bool(_dollars(state, silent))
    state.src += " "
    try:
        return bool(_dollars(state, silent))
    finally:
        state.src = state.src[:-1]


@lru_cache
def parser() -> MarkdownIt:
    """The one parser. Link targets come out as written; who renders them decides what is safe."""
    md = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    md.use(front_matter_plugin)
    md.use(dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False)
    md.inline.ruler.at("math_inline", _math_inline)
    md.use(footnote_plugin, inline=False)
    md.use(attrs_block_plugin, allowed=("id",))
    md.use(container_plugin, "box", validate=lambda params, _markup: bool(params.strip()))
    md.core.ruler.after("block", "heading_ids", _heading_ids)
    md.core.ruler.before("attr", "note_attributes", _note_attributes)
    md.core.ruler.after("attr", "lost_attributes", _lost_attributes)
    md.validateLink = _anything  # type: ignore[method-assign]
    md.normalizeLink = _as_written  # type: ignore[method-assign]
    return md


@lru_cache(maxsize=8192)  # every text of a large book, questions included
def parse(text: str) -> Parsed:
    """Parse, cached by content; treat the tokens as read-only."""
    env: dict[str, object] = {}
    tokens = parser().parse(text, env)
    lost = env.get("lost", ())
    assert isinstance(lost, tuple)
    return Parsed(tokens, lost)


def closing(tokens: Sequence[Token], start: int) -> int:
    """Index just past the block that starts at `start`."""
    depth = 0
    for index in range(start, len(tokens)):
        depth += tokens[index].nesting
        if depth == 0:
            return index + 1
    return len(tokens)


def plain(tokens: Sequence[Token]) -> str:
    """Text of inline tokens, math as `$tex$`, images by their caption."""
    parts = []
    for token in tokens:
        if token.type in ("text", "code_inline", "text_special"):
            parts.append(token.content)
        elif token.type in ("math_inline", "math_inline_double"):
            parts.append(f"${token.content}$")
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif token.type == "image":
            parts.append(plain(token.children or []))
    return "".join(parts)
