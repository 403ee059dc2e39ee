"""Attempts at an exercise: all of them, one with its verdicts, the difference between two, and back with one
into the editor."""

from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from handbook.app.web import practising, reports
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.rooms.exercise import Form, find, told
from handbook.app.web.shelf import Shelf
from handbook.errors import HandbookError

router = APIRouter()
LISTED = 200
DRAFT, STARTER = "draft", "starter"


def _text(shelf: Shelf, name: str, which: str, rows: list[dict[str, Any]]) -> str | None:
    """The code that a side of a comparison names: an attempt by its number, the draft, the starter."""
    if which == STARTER:
        return find(shelf, name).starter
    if which == DRAFT:
        draft = shelf.practised(lambda practice: practice.draft(name), None)
        return draft["code"] if draft else find(shelf, name).starter
    row = next((row for row in rows if str(row["id"]) == which), None)
    return row["code"] if row else None


@router.get("/exercise/{name}/attempts")
def attempts(request: Request, name: str, old: str = "", new: str = "") -> Response:
    """The list, and the lines that differ between two: without a choice, between the last two."""
    shelf = shelf_of(request)
    exercise = find(shelf, name)
    rows = shelf.attempts(name, LISTED)
    ids = [str(row["id"]) for row in rows]
    new = new or next(iter(ids), DRAFT)
    old = old or next(iter(ids[1:]), STARTER)
    before, after = _text(shelf, name, old, rows), _text(shelf, name, new, rows)
    found = before is not None and after is not None
    return show(
        request,
        "attempts.html",
        {
            "exercise": exercise,
            "book": shelf.book,
            "attempts": rows,
            "old": old,
            "new": new,
            "found": found,
            "lines": reports.compared(before or "", after or "") if found else [],
            "names": {DRAFT: "what is in the editor", STARTER: "the starter"}
            | {str(row["id"]): f"attempt {len(rows) - place}" for place, row in enumerate(rows)},
        },
    )


def _attempt(shelf: Shelf, name: str, id: int) -> dict[str, Any]:
    row = shelf.practised(lambda practice: practice.attempt(id), None)
    if row is None or row["exercise"] != name:
        raise HTTPException(404)
    return row


@router.get("/exercise/{name}/attempts/{id}")
def attempt(request: Request, name: str, id: int) -> Response:
    shelf = shelf_of(request)
    exercise = find(shelf, name)
    row = _attempt(shelf, name, id)
    report = reports.report_of(row)
    values = {
        "exercise": exercise,
        "book": shelf.book,
        "attempt": row,
        "told": told(report, row["report"].get("kind") != "visible") if report else None,
    }
    return show(request, "attempt.html", values)


@router.post("/exercise/{name}/attempts/{id}")
def restore(request: Request, name: str, id: int, form: Form) -> Response:
    """Its code into the editor; what stands there now can be brought back."""
    shelf = shelf_of(request)
    find(shelf, name)
    row = _attempt(shelf, name, id)
    if not row["code"]:
        raise HandbookError("This attempt holds no code.", "Choose another one.")
    practising.practice(shelf.database).save_draft(name, row["code"], replace=True)
    return RedirectResponse(f"/exercise/{name}#code-title", 303)
