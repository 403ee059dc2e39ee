"""Progress: what is solid and what is not, each figure with what it rests on."""

from fastapi import APIRouter, Request, Response

from handbook.app.web import progressing
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.rooms.marks import mark

router = APIRouter()


@router.get("/progress")
def progress(request: Request) -> Response:
    shelf = shelf_of(request)
    book, read = shelf.book, shelf.read_sections()
    own = shelf.own_measurements()
    return show(
        request,
        "progress.html",
        {
            "book": book,
            "study": shelf.studied(progressing.of_study, None),
            "verdict_states": progressing.STATES,
            "marks": {slug: mark(chapter, read) for slug, chapter in book.chapters.items()},
            "solved": shelf.solved(),
            "last": shelf.practised(lambda practice: practice.newest(), dict[str, tuple[int, int]]()),
            "own": {id: row for id, row in own.items() if id in book.claims},
            "asks": shelf.asks(20),
        },
    )
