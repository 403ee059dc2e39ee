"""Reading marks: a section by the page's script, a whole chapter by a form that needs none."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from handbook.app.web.faults import wants
from handbook.app.web.pages import shelf_of
from handbook.app.web.tokens import HEADER, fields, fresh

router = APIRouter()


@router.post("/reading")
def change(request: Request, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """chapter: its path. section: ids with spaces between, or all. read: `1`, or `0` to undo."""
    shelf = shelf_of(request)
    chapter = shelf.book.chapter(form.get("chapter", ""))
    if chapter is None:
        raise HTTPException(404)
    wanted = form.get("section", "").split()
    if any(chapter.section(each) is None for each in wanted):
        raise HTTPException(404)
    read = form.get("read", "1") == "1"
    for section in chapter.sections:
        if not wanted or section.id in wanted:
            if read:
                shelf.database.mark_read(chapter.slug, section.id)
            else:
                shelf.database.unmark_read(chapter.slug, section.id)
    if wants(request) == "page":
        return RedirectResponse(f"{chapter.url}#reading-marks", 303)
    return JSONResponse({"chapter": chapter.path, "read": read}, headers={HEADER: fresh(request)})
