"""Under the hood: versions, models in use, data folder, database; export, import, delete everything."""

import json
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from handbook.app.doctor import examine, model_rows
from handbook.app.web import prepare
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.rooms.exchange import exchange_of, told
from handbook.app.web.tokens import fields
from handbook.errors import HandbookError

router = APIRouter()
CONFIRMATION = "delete everything"
DONE = {
    "deleted": "Everything that you read, asked, tried and measured was deleted.",
    "prepare": "Getting ready has begun again.",
}


@router.get("/about")
def page(request: Request, doctor: bool = False, done: str = "") -> Response:
    shelf = shelf_of(request)
    report = examine(shelf.settings) if doctor else None
    if report:
        report.setdefault("missing", [])
    return show(
        request,
        "about.html",
        {
            "book": shelf.book,
            "settings": shelf.settings,
            "models": model_rows(shelf.settings),
            "database": shelf.state(lambda database: database.url, "not usable now"),
            "machine": shelf.machine,
            "report": report,
            "said": DONE.get(done, ""),
            "confirmation": CONFIRMATION,
            "prepare_job": shelf.jobs.get(prepare.JOB),
        },
    )


@router.get("/about/export")
def export(request: Request) -> Response:
    text = json.dumps(shelf_of(request).database.export(), ensure_ascii=False, indent=1)
    name = f"handbook-{date.today().isoformat()}.json"
    return Response(
        text,
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@router.post("/about/import")
def import_(request: Request, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """Take an export in, with the checks of an import of the practice."""
    taken = exchange_of(shelf_of(request)).take_whole(
        form.get("file", "").encode(), "an export of everything"
    )
    return told(request, taken)


@router.post("/about/delete")
def delete(request: Request, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    if form.get("confirm", "").strip().lower() != CONFIRMATION:
        raise HandbookError(
            f"Nothing was deleted: the words `{CONFIRMATION}` were not typed.", "Go back and type them."
        )
    shelf_of(request).database.delete_all()
    return RedirectResponse("/about?done=deleted#data", 303)


@router.post("/about/prepare")
def again(request: Request, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """Bring missing models and the index once more, after a failure."""
    prepare.begin(shelf_of(request), delay=0)
    return RedirectResponse("/about?done=prepare#models", 303)
