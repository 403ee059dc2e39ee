"""Templates, and the few values that every page has."""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from handbook import __version__
from handbook.app.web import assets
from handbook.app.web.shelf import AUTO, BOOK, Shelf
from handbook.app.web.tokens import HEADER, fresh, remember
from handbook.settings import shown

TEMPLATES = Path(__file__).parent.parent / "templates"
THEME_COOKIE = "handbook_theme"
CORPUS_COOKIE = "handbook_corpus"  # the one that was asked last
KEYS = (
    ("j / k", "next, previous section"),
    ("/ or Ctrl-K", "search and commands"),
    ("a", "ask the book"),
    ("t", "today"),
    ("p", "plan"),
    ("d", "drill"),
    ("e", "exercises"),
    ("Ctrl-Enter", "run an exercise; with Shift its visible tests alone"),
    ("Ctrl-Enter", "grade an answer"),
    ("1 to 9, y, n", "choose a criterion; it is met, it is not"),
    ("r, Enter, u", "another rating; confirm it, or begin what the page is for; take the last one back"),
    ("Esc", "close a note; leave the editor, to Run or Stop"),
    ("?", "these keys"),
)
_MARKS = re.compile(
    r"(?<!`)(`{1,2})(?!`)(?P<code>[^`]+)\1(?!`)|(?<![\\\d])\$(?!\s)(?P<tex>[^$\n]+)(?<![\s\\])\$(?!\d)"
)
_HEADING = re.compile(r"^#{1,6}\s+", re.MULTILINE)

environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def number(value: float) -> str:
    """A number as the pages print it: thousands apart, no more digits than say something."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e6 else f"{value:.2e}"


def moment(value: datetime) -> str:
    """A day and a time, where the reader is."""
    here = value.astimezone()
    return f"{here.day} {here:%B %Y, %H:%M}"


def duration(seconds: float) -> str:
    """`12 s`, `3 min 20 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60} s"


def snippet(text: str, length: int = 260) -> str:
    """The beginning of a passage as a line of text, without the marks of Markdown's headings; no formula and
    no code is cut in two."""
    plain = " ".join(_HEADING.sub("", text).split())
    if len(plain) <= length:
        return plain
    cut = plain.rfind(" ", 0, length)
    cut = length if cut < 0 else cut
    inside = (found.start() for found in _MARKS.finditer(plain) if found.start() < cut < found.end())
    return f"{plain[: next(inside, cut)].rstrip()} …"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


def marked(text: str) -> Markup:
    """Plain text with `$...$` as mathematics and backticks as code: passages, docstrings."""
    pieces, end = [], 0
    for found in _MARKS.finditer(text):
        shape = "<code>{0}</code>" if found["code"] else '<span class="math" data-tex="{0}">{0}</span>'
        pieces += [escape(text[end : found.start()]), Markup(shape).format(found["code"] or found["tex"])]
        end = found.end()
    return Markup("").join([*pieces, escape(text[end:])])


def counted(number: int, noun: str) -> str:
    """`1 fault`, `2 faults`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def dotted(name: str) -> Markup:
    """A module's name that may break after its dots."""
    return Markup(".<wbr>").join(name.split("."))


def python(code: str) -> Markup:
    """Python with its parts marked for the stylesheet."""
    from handbook.book.highlight import highlight

    return Markup(highlight(code, "python"))


environment.filters["python"] = python
environment.filters["shown"] = shown
environment.filters["marked"] = marked
environment.filters["counted"] = counted
environment.filters["moment"] = moment
environment.filters["snippet"] = snippet
environment.filters["duration"] = duration
environment.filters["dotted"] = dotted
environment.filters["number"] = number
environment.filters["megabytes"] = megabytes
environment.globals.update(static=assets.static, built=assets.built, version=__version__, all_keys=KEYS)


def shelf_of(request: Request) -> Shelf:
    shelf: Shelf = request.app.state.shelf
    return shelf


def corpus_chosen(request: Request) -> str:
    """The corpus that was asked last; the book where that is gone."""
    chosen = request.cookies.get(CORPUS_COOKIE, BOOK)
    there = {each.name for each in shelf_of(request).corpora_there()}
    return chosen if chosen in there or (chosen == AUTO and there) else BOOK


def show(
    request: Request, template: str, context: Mapping[str, Any] | None = None, status: int = 200
) -> Response:
    """Render a page or, for names under `fragments/`, a piece of one (with a fresh token in its headers)."""
    theme = request.cookies.get(THEME_COOKIE)
    shelf = shelf_of(request)
    values: dict[str, Any] = {
        "token": fresh(request),
        "theme": theme if theme in ("light", "dark") else None,
        "path": request.url.path,
        "notices": shelf.notices,
        "jobs": shelf.jobs,
        "asked": "",
        "corpora": shelf.corpora_there(),
        "chosen_corpus": corpus_chosen(request),
        "remote_models": bool(shelf.settings.chat_url or shelf.settings.embed_url),
        **(context or {}),
    }
    html = environment.get_template(template).render(values)
    response = HTMLResponse(html, status_code=status)
    if template.startswith("fragments/"):
        response.headers[HEADER] = fresh(request)
    remember(request, response)
    return response
