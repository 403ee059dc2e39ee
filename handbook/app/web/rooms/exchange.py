"""Out and in: the practice as JSON, CSV or a package of Anki; what was taken in, and taking it back."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import UploadFile

from handbook.app.web.pages import shelf_of, show
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import fields, files
from handbook.errors import HandbookError
from handbook.practice.exchange import KINDS, Exchange, Taken
from handbook.practice.exchange.limits import FILE
from handbook.practice.exchange.words import in_words

router = APIRouter()
Form = Annotated[dict[str, str], Depends(fields)]
TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "apkg": "application/octet-stream"}
SAVED = {"practice.json": "practice", "deck.apkg": "genai-lead-handbook"}  # names of files, where others
SHOWN = 10


def exchange_of(shelf: Shelf) -> Exchange:
    return Exchange(shelf.deck, shelf.database)


@router.get("/export")
def page(request: Request) -> Response:
    shelf = shelf_of(request)
    imports = shelf.state(lambda _: exchange_of(shelf).history(SHOWN), list[Taken]())
    return show(request, "exchange.html", {"book": shelf.book, "imports": imports, "limit": FILE})


@router.get("/export/import/{key}")
def result(request: Request, key: str) -> Response:
    """What became of a file."""
    taken = exchange_of(shelf_of(request)).found(key)
    if taken is None:
        raise HTTPException(404)
    return _shown(request, taken)


def told(request: Request, taken: Taken) -> Response:
    """To the page of an import. One that brought nothing new has none, so that is said at once."""
    if not taken.key:
        return _shown(request, taken)
    return RedirectResponse(f"/export/import/{taken.key}", 303)


def _shown(request: Request, taken: Taken) -> Response:
    values = {"book": shelf_of(request).book, "taken": taken, "brought": in_words(taken.taken)}
    return show(request, "exchange_taken.html", values)


@router.get("/export/{name}")
def download(request: Request, name: str) -> Response:
    if name not in KINDS:
        raise HTTPException(404)
    data = exchange_of(shelf_of(request)).write(name)
    stem, _, suffix = name.rpartition(".")
    saved = f"{SAVED.get(name, stem)}-{date.today().isoformat()}.{suffix}"
    return Response(
        data,
        media_type=TYPES[suffix],
        headers={"Content-Disposition": f'attachment; filename="{saved}"', "Cache-Control": "no-store"},
    )


@router.post("/export/import")
def import_(request: Request, form: Form, sent: Annotated[list[UploadFile], Depends(files)]) -> Response:
    """Take a file in."""
    if len(sent) != 1:
        raise HandbookError("Expected one file.", "Choose a .json, .csv or .apkg. Nothing was imported.")
    exchange = exchange_of(shelf_of(request))
    return told(request, exchange.take(sent[0].file.read(FILE + 1), sent[0].filename or ""))


@router.post("/export/import/{key}/undo")
def undo(request: Request, key: str, form: Form) -> Response:
    exchange_of(shelf_of(request)).undo(key)
    return RedirectResponse(f"/export/import/{key}", 303)
