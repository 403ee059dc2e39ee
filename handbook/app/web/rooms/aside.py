"""Beside an answer in the drill room: its drafts, and questions that are put off or laid aside."""

from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from handbook.app.web import drilling
from handbook.app.web.pages import shelf_of
from handbook.app.web.practising import moment
from handbook.app.web.rooms.drill import (
    BEFORE,
    PLACE,
    Form,
    address,
    answer_of,
    chapter_of,
    find,
    forget_token,
    keep_typed,
    seconds_of,
    sitting_of,
)
from handbook.app.web.tokens import HEADER, fresh, remember

router = APIRouter()


@router.post("/drill/{id}/draft")
def draft(request: Request, id: str, form: Form) -> Response:
    """Keep what is typed; scripts send it."""
    shelf = shelf_of(request)
    question = find(shelf, id)
    base = moment(form.get("base", "")) or datetime.min
    at = keep_typed(shelf.deck, question, answer_of(form), seconds_of(form), base)
    forget_token(request)
    response = JSONResponse({"version": at.isoformat()})
    if not request.query_params.get("token"):
        response.headers[HEADER] = fresh(request)
    remember(request, response)
    return response


@router.post("/drill/{id}/before")
def bring_back(request: Request, id: str, form: Form) -> Response:
    """The text that another window had typed, for the one that stands there."""
    shelf = shelf_of(request)
    question, deck = find(shelf, id), shelf.deck
    older = deck.rows.draft(id, BEFORE)
    if older is not None:
        deck.rows.save_draft(id, BEFORE, answer_of(form), seconds_of(form), drilling.now())
        deck.save_draft(question, PLACE, older["text"], older["seconds"])
    return RedirectResponse(address(f"/drill/{id}", chapter_of(shelf, form.get("only", ""))), 303)


# Put aside


def _aside(request: Request, id: str, form: dict[str, str], how: str) -> Response:
    shelf = shelf_of(request)
    question, at = find(shelf, id), drilling.now()
    deck, only = shelf.deck, chapter_of(shelf, form.get("only", ""))
    if "answer" in form and form["answer"].strip():
        keep_typed(deck, question, answer_of(form), seconds_of(form), None)
    if how == "bury":
        deck.bury(question, at)
    elif how == "suspend":
        deck.suspend(question)
    response = RedirectResponse(address("/drill/next", only, put=id, how=how), 303)
    if how == "later":
        ids = [each for each in drilling.later_of(request, at) if each != id]
        drilling.put_off(response, [*ids, id], at)
        sitting = sitting_of(request, shelf, only)
        others = [each.question.id for each in sitting.all if each.question.id != id]
        target = f"/drill/{others[0]}" if others else f"/drill/{id}"
        response.headers["location"] = address(target, only, put=id, how=how)
    return response


@router.post("/drill/{id}/later")
def later(request: Request, id: str, form: Form) -> Response:
    """At the end of the session."""
    return _aside(request, id, form, "later")


@router.post("/drill/{id}/bury")
def bury(request: Request, id: str, form: Form) -> Response:
    """Not today."""
    return _aside(request, id, form, "bury")


@router.post("/drill/{id}/suspend")
def suspend(request: Request, id: str, form: Form) -> Response:
    """Not until the person says so."""
    return _aside(request, id, form, "suspend")


@router.post("/drill/{id}/back")
def back(request: Request, id: str, form: Form) -> Response:
    """What was put aside is asked again."""
    shelf = shelf_of(request)
    question, at, how = find(shelf, id), drilling.now(), form.get("how", "")
    only = chapter_of(shelf, form.get("only", ""))
    response = RedirectResponse(address("/drill" if form.get("list") else f"/drill/{id}", only), 303)
    if how == "later":
        drilling.put_off(response, [each for each in drilling.later_of(request, at) if each != id], at)
    elif how == "bury":
        shelf.deck.unbury(question)
    elif how == "suspend":
        shelf.deck.unsuspend(question)
    return response
