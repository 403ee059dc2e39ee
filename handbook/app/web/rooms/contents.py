"""The contents: all chapters at their paths, and both study paths, with what is read."""

from fastapi import APIRouter, Request, Response

from handbook.app.web.pages import shelf_of, show
from handbook.app.web.rooms.marks import mark

router = APIRouter()


@router.get("/book")
def contents(request: Request) -> Response:
    shelf = shelf_of(request)
    book, read = shelf.book, shelf.read_sections()
    marks = {slug: mark(chapter, read) for slug, chapter in book.chapters.items()}
    return show(request, "contents.html", {"book": book, "marks": marks})
