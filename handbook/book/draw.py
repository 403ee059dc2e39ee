"""Figures: figures.py of a chapter draws figures/*.svg; each file remembers which figures.py drew it.

A function `kv_cache() -> str` without arguments draws `figures/kv-cache.svg`. Names with a leading `_` are
helpers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from handbook.book import modules, svg, symbols
from handbook.book.atomic import write
from handbook.book.nouns import Book, Chapter
from handbook.errors import BookError

_MARK = re.compile(r"<!-- drawn by figures\.py ([0-9a-f]{12}); do not edit -->\n?")


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def names(file: Path) -> tuple[str, ...]:
    """Figures that a figures.py draws. Raises SyntaxError."""
    import ast

    _, tree = symbols.parse(file)
    return tuple(
        node.name.replace("_", "-")
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and len(node.args.args) == len(node.args.defaults)
    )


def draw(book: Book, chapter: Chapter | None = None) -> tuple[Path, ...]:
    """Run figures.py of one chapter, or of all, and write what changed. Returns the files written.

    Raises BookError where a function fails or what it draws is not safe to inline; other figures are written.
    """
    written, failed = [], []
    for one in [chapter] if chapter else book.chapters.values():
        file = one.folder / "figures.py"
        if not file.is_file():
            continue
        try:
            module = modules.load(file, f"handbook_figures_{one.slug.replace('-', '_')}")
            wanted = names(file)
        except Exception as error:
            failed.append(f"{file}: {type(error).__name__}: {error}")
            continue
        for name in wanted:
            target = one.folder / "figures" / f"{name}.svg"
            try:
                text = _MARK.sub("", str(getattr(module, name.replace("-", "_"))()))
            except Exception as error:
                failed.append(f"{name}: {type(error).__name__}: {error}")
                continue
            if problems := svg.unsafe(text.strip()):
                failed.append(f"{name}: {'; '.join(problems)}")
                continue
            text = f"<!-- drawn by figures.py {digest(file)}; do not edit -->\n{text.strip()}\n"
            if not target.is_file() or target.read_text(encoding="utf-8") != text:
                write(target, text)
                written.append(target)
    if failed:
        raise BookError(
            f"{len(failed)} figures could not be drawn: {' | '.join(failed)}.", "Correct figures.py."
        )
    return tuple(written)


def problems(chapter: Chapter) -> Iterator[tuple[str, str, str, str]]:
    """(figure, what, kind, remedy) of figures that are stale, unsafe, or drawn by nothing. Runs no code."""
    file = chapter.folder / "figures.py"
    if not chapter.figures and not file.is_file():
        return
    try:
        drawn = names(file) if file.is_file() else ()
    except SyntaxError as error:
        yield "", f"figures.py is not valid Python: line {error.lineno}: {error.msg}.", "syntax", ""
        return
    current = digest(file) if file.is_file() else ""
    for name in drawn:
        if name not in chapter.figures:
            yield (
                name,
                f"figures.py draws {name}, and figures/{name}.svg is missing.",
                "stale-figure",
                "handbook book draw",
            )
    for name, path in chapter.figures.items():
        text = path.read_text(encoding="utf-8", errors="replace")
        mark = _MARK.match(text)
        if name not in drawn:
            yield (
                name,
                f"No function of figures.py draws {name}.",
                "stale-figure",
                "Write it, or remove the file.",
            )
        elif mark is None or mark[1] != current:
            yield name, f"The figure {name} is older than figures.py.", "stale-figure", "handbook book draw"
        for what in svg.unsafe(_MARK.sub("", text).strip()):
            yield (
                name,
                f"The figure {name} cannot be inlined: {what}.",
                "unsafe-figure",
                "Correct figures.py.",
            )
