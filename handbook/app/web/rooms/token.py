"""A fresh one-time token for scripts, and the quiet line about background work."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from handbook.app.web.pages import show
from handbook.app.web.tokens import fresh, remember

router = APIRouter()


@router.get("/token")
def token(request: Request) -> Response:
    response = PlainTextResponse(fresh(request), headers={"Cache-Control": "no-store"})
    remember(request, response)
    return response


@router.get("/jobs")
def strip(request: Request) -> Response:
    return show(request, "fragments/strip.html")
