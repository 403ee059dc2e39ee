"""Rewriting what is computed: code included by symbol, and the text of claims."""

from __future__ import annotations

import re
from pathlib import Path

from handbook.book import markdown, symbols
from handbook.book.atomic import write
from handbook.book.blocks import INCLUDE
from handbook.book.nouns import Book, Chapter

_CLAIM = re.compile(r"\[((?:\\.|[^\]\\\[])*)\]\(claim:([A-Za-z0-9-]+)\)")
_SPECIAL = re.compile(r"([\\`*_\[\]<>$~])")


def body(symbol: str) -> str | None:
    """What a fence that includes `symbol` should hold; None where the symbol is unknown."""
    try:
        return symbols.source(symbol).text.rstrip("\n")
    except symbols.UnknownSymbol:
        return None


def _fences(text: str) -> str:
    lines = text.split("\n")
    for token in reversed(markdown.parse(text).tokens):
        if token.type != "fence" or not (found := INCLUDE.search(token.info)) or not token.map:
            continue
        code = body(found[1])
        start, end = token.map
        closed = end > start + 1 and lines[end - 1].strip().startswith(token.markup)
        if code is None or not closed or token.markup in code:
            continue
        indent = re.match(r"[\s>]*", lines[start])
        prefix = indent[0] if indent else ""
        lines[start + 1 : end - 1] = [
            f"{prefix}{line}" if line else prefix.rstrip() for line in code.split("\n")
        ]
    return "\n".join(lines)


def filled(book: Book, text: str, quoted: bool = False) -> str:
    """A text with included code and claims brought up to date. quoted: YAML, so only claims."""

    def claim(match: re.Match[str]) -> str:
        found = book.claims.get(match[2])
        shown = found.shown if found else None
        if shown is None:
            return match[0]
        escaped = _SPECIAL.sub(r"\\\1", shown)
        return f"[{escaped}](claim:{match[2]})"

    return _CLAIM.sub(claim, text if quoted else _fences(text))


def fill(book: Book, chapter: Chapter | None = None) -> tuple[Path, ...]:
    """Bring the files of one chapter, or of all, up to date. Returns the files that changed."""
    changed = []
    for one in [chapter] if chapter else book.chapters.values():
        files = [one.source] if one.source else []
        files += [exercise.file("statement.md") for exercise in one.exercises]
        questions = one.folder / "questions.yaml"
        files += [questions] if questions.is_file() else []
        for file in files:
            text = file.read_text(encoding="utf-8")
            new = filled(book, text, quoted=file == questions)
            if new != text:
                write(file, new)
                changed.append(file)
    return tuple(changed)
