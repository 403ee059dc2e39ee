"""Source of the handbook's own modules: coloured, an address per symbol, and the chapters that show it."""

from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.python import PythonLexer

from handbook.app.web.pages import shelf_of, show
from handbook.book import symbols

router = APIRouter()
PACKAGE = "handbook"


class _Lines(HtmlFormatter):  # type: ignore[type-arg]
    """Spans only: the lines are wrapped here."""

    def wrap(self, source):  # type: ignore[no-untyped-def]
        return source


@lru_cache(maxsize=64)
def _lines(file: Path, mtime: int) -> tuple[str, ...]:
    text = file.read_text(encoding="utf-8")
    html = highlight(text, PythonLexer(stripnl=False, ensurenl=True), _Lines(nowrap=True))
    return tuple(html.split("\n")[:-1])


def lines(file: Path) -> tuple[str, ...]:
    """Each line of a Python file as HTML."""
    return _lines(file, file.stat().st_mtime_ns)


@router.get("/code")
def index(request: Request) -> Response:
    book = shelf_of(request).book
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, file in symbols.modules(PACKAGE):
        try:
            docstring = symbols.source(name).docstring
        except symbols.UnknownSymbol:
            continue
        top = name.split(".")[1] if "." in name else ""
        group = top if file.parent.name != PACKAGE or file.name == "__init__.py" else ""
        groups.setdefault(group, []).append((name, docstring.split("\n")[0]))
    return show(request, "code_index.html", {"book": book, "groups": sorted(groups.items())})


@router.get("/code/{module}")
def module(request: Request, module: str) -> Response:
    book = shelf_of(request).book
    file = symbols.module_file(module) if module.split(".")[0] == PACKAGE else None
    if file is None:
        raise HTTPException(404)
    shown = symbols.source(module)
    outline = symbols.outline(module)
    anchors: dict[int, str] = {}
    for each in outline:
        anchors.setdefault(each.line, each.symbol.partition(":")[2])
    backlinks = {each.symbol: book.links_to(f"code:{each.symbol}") for each in outline}
    return show(
        request,
        "code.html",
        {
            "book": book,
            "module": module,
            "docstring": shown.docstring,
            "lines": lines(file),
            "anchors": anchors,
            "outline": outline,
            "backlinks": backlinks,
            "chapters": book.chapters_of(module),
        },
    )
