"""Today: the session of the day and its next item; before there is a plan, the one thing to do next."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from handbook.app.web import studying
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.rooms.exercises import ORDERS, listed
from handbook.app.web.rooms.marks import mark
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import fields

if TYPE_CHECKING:
    from handbook.practice.study import Study

router = APIRouter()
RECENT = 5
Form = Annotated[dict[str, str], Depends(fields)]


@router.get("/")
def today(request: Request) -> Response:
    shelf = shelf_of(request)
    day = shelf.studied(_day, None)
    values = {
        "day": day,
        "kinds": studying.KINDS,
        "paused": shelf.studied(_paused, None),
        "known": shelf.studied(lambda study: study.rows.last_diagnostic() is not None, True),
        "asks": shelf.asks(RECENT),
        "book": shelf.book,
    }
    return show(request, "today.html", values if day else {**values, **_without_plan(shelf)})


def _day(study: "Study") -> studying.Day | None:
    plan = study.plan()
    dealt = study.today() if plan is not None else None
    return studying.day_of(study, plan, dealt) if plan is not None and dealt is not None else None


def _paused(study: "Study") -> dict[str, int] | None:
    """A diagnostic that has not ended: answers so far, and minutes that are left."""
    begun = study.diagnosing.open()
    if begun is None:
        return None
    return {"answers": len(begun.diagnostic.answers), "left": round(begun.diagnostic.left)}


def _without_plan(shelf: Shelf) -> dict[str, Any]:
    """Where reading goes on, and what belongs to it."""
    read = shelf.read_sections()
    written = [mark(chapter, read) for chapter in shelf.book.chapters.values() if chapter.written]
    begun = [each for each in written if each.count and not each.done]
    untouched = [each for each in written if not each.count]
    solved = shelf.solved()
    open_exercises = [
        exercise
        for each in written
        if each.count
        for exercise in each.chapter.exercises
        if exercise.name not in solved
    ]
    return {
        "going": next(iter(begun or untouched), None),
        "written": written,
        "exercises": open_exercises[:3],
        "due": sorted((row for row in listed(shelf) if row.due_now), key=ORDERS["due"]),
    }


@router.post("/today/mark")
def tick(request: Request, form: Form) -> Response:
    """Say that an item is done, or that it is not."""
    shelf_of(request).study.mark(form.get("key", ""), form.get("done") == "1")
    return RedirectResponse("/#session", 303)


@router.post("/today/again")
def deal_again(request: Request, form: Form) -> Response:
    """Another session for today; what is done stays done."""
    shelf_of(request).study.deal_again()
    return RedirectResponse("/", 303)
