"""Every cited source, with the places that cite it."""

from fastapi import APIRouter, Request, Response

from handbook.app.web.pages import shelf_of, show

router = APIRouter()


@router.get("/references")
def references(request: Request) -> Response:
    book = shelf_of(request).book
    listed = sorted(book.references.values(), key=lambda each: (each.families or (each.title,), each.year))
    return show(request, "references.html", {"book": book, "references": listed})
