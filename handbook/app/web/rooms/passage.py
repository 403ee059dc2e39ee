"""A passage of a corpus in its surroundings, and the document that it is of."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from handbook.app.web.pages import shelf_of, show
from handbook.app.web.rooms.corpora import about_of
from handbook.app.web.shelf import Shelf
from handbook.errors import HandbookError

if TYPE_CHECKING:
    from handbook.rag.nouns import Row

router = APIRouter()
AROUND = 2  # passages before and after


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a document. here: the passage that was asked for. gap: what lies between it and the piece
    before is white space; else they touch."""

    id: str
    text: str
    here: bool
    gap: bool


def row_of(shelf: Shelf, name: str, id: str) -> "Row":
    """Raises 404 where there is no such passage (any more)."""
    from handbook.rag.corpora import TENANT

    about_of(shelf, name)
    rows = shelf.corpora.reader(name).get([id], TENANT)
    if not rows:
        raise HTTPException(404, "no such passage")
    found: Row = rows[0]
    return found


def there(row: "Row") -> bool:
    """Whether a passage's document is a file that can be reached."""
    try:
        return "://" not in row.document and Path(row.document).is_file()
    except OSError:  # a folder above it that may not be entered
        return False


def pieces(rows: "list[Row]", id: str) -> list[Piece]:
    """Neighbouring passages, each character once: where two overlap, the one that was asked for is whole."""
    here = next(at for at, row in enumerate(rows) if row.id == id)
    found = []
    for at, row in enumerate(rows):
        start, end = row.start, row.end
        if at > here:
            start = max(start, rows[at - 1].end)
        elif at < here:
            end = min(end, rows[at + 1].start)
        if start < end:
            text = row.text[start - row.start : end - row.start]
            gap = at > 0 and rows[at - 1].end < row.start
            found.append(Piece(row.id, text, row.id == id, gap))
    return found


@router.get("/corpora/{name}/passage/{id}")
def page(request: Request, name: str, id: str) -> Response:
    from handbook.rag.corpora import TENANT

    shelf = shelf_of(request)
    row = row_of(shelf, name, id)
    rows: list[Row] = shelf.corpora.reader(name).neighbours(id, AROUND + 1, TENANT)
    place = next(at for at, each in enumerate(rows) if each.id == id)
    first, last = max(0, place - AROUND), min(len(rows), place + AROUND + 1)
    return show(
        request,
        "passage.html",
        {
            "book": shelf.book,
            "about": about_of(shelf, name),
            "row": row,
            "trail": [each for each in row.headings if each != row.title],
            "pieces": pieces(rows[first:last], id),
            "before": rows[max(0, place - 2 * AROUND - 1)].id if first else "",
            "after": rows[min(len(rows) - 1, place + 2 * AROUND + 1)].id if last < len(rows) else "",
            "web": row.document.lower().startswith(("http://", "https://")),
            "there": there(row),
            "chosen_corpus": name,
        },
    )


@router.get("/corpora/{name}/passage/{id}/source")
def source(request: Request, name: str, id: str) -> Response:
    """The document's file, to be saved or opened by the program for it. It is never shown as a page of this
    site: what a document holds is not ours."""
    row = row_of(shelf_of(request), name, id)
    path = Path(row.document)
    if not there(row):
        raise HandbookError(
            f"{row.document} is not there any more.",
            "What was read of it is in the corpus; an update takes it out.",
        )
    return FileResponse(
        path,
        media_type="application/octet-stream",
        filename=path.name,
        headers={"Cache-Control": "no-store"},
    )
