"""Today: the one thing to do next."""

from fastapi import APIRouter, Request, Response

from handbook.app.web.pages import shelf_of, show
from handbook.app.web.rooms.exercises import ORDERS, listed
from handbook.app.web.rooms.marks import mark

router = APIRouter()
RECENT = 5


@router.get("/")
def today(request: Request) -> Response:
    shelf = shelf_of(request)
    book, read = shelf.book, shelf.read_sections()
    written = [mark(chapter, read) for chapter in book.chapters.values() if chapter.written]
    begun = [each for each in written if each.count and not each.done]
    untouched = [each for each in written if not each.count]
    going = next(iter(begun or untouched), None)
    solved = shelf.solved()
    due = sorted((row for row in listed(shelf) if row.due_now), key=ORDERS["due"])
    open_exercises = [
        exercise
        for each in written
        if each.count
        for exercise in each.chapter.exercises
        if exercise.name not in solved
    ]
    asks = shelf.asks(RECENT)
    return show(
        request,
        "today.html",
        {
            "going": going,
            "written": written,
            "exercises": open_exercises[:3],
            "due": due,
            "asks": asks,
            "book": book,
        },
    )
