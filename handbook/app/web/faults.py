"""Errors as pages: what happened, what is safe, what to do.

Scripts and htmx get the same words in their own form.
"""

import logging
from html import escape

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request as PlainRequest
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import Receive, Scope, Send

from handbook.app.web.tokens import HEADER, TokenRefused, fresh, remember
from handbook.errors import (
    BookError,
    ChatError,
    DatabaseError,
    DiskFull,
    HandbookError,
    ModelFileError,
    ModelUnavailable,
    TextUnavailable,
)

Words = tuple[str, str, str]  # what happened, what is safe, what to do
UNTOUCHED = "Nothing was changed."
WRONG_HOST: Words = (
    "This request names another host than this handbook.",
    UNTOUCHED,
    "Open the handbook at the address that it printed when it started.",
)
WRONG_ORIGIN: Words = (
    "This request came from another site, and only the handbook's own pages may do that.",
    UNTOUCHED,
    "Open the handbook itself and do it there.",
)
TOO_LARGE: Words = ("What was sent is larger than the handbook takes.", UNTOUCHED, "Send less at once.")


class TooLarge(HandbookError):
    """A body beyond the limit, found while it is read."""


STATUS: tuple[tuple[type[HandbookError], int], ...] = (
    (TooLarge, 413),
    (DiskFull, 507),
    (ModelUnavailable, 503),
    (TextUnavailable, 503),
    (ModelFileError, 503),
    (ChatError, 502),
    (DatabaseError, 503),
    (BookError, 500),
    (HandbookError, 400),
)
SAFE = {
    TooLarge: UNTOUCHED,
    DiskFull: "What stood before is untouched.",
    DatabaseError: "The database was not changed.",
}


def wants(request: PlainRequest) -> str:
    """'page', 'fragment' (htmx) or 'json' (scripts)."""
    accept = request.headers.get("accept", "")
    if "application/json" in accept or "text/event-stream" in accept:
        return "json"
    return "fragment" if request.headers.get("hx-request") else "page"


def _bare(status: int, what: str, safe: str, remedy: str) -> str:
    """A page that needs no template."""
    body = f"<h1>{escape(what)}</h1><p>{escape(safe)}</p><p>{escape(remedy)}</p>"
    return f'<!doctype html><html lang="en"><title>{status}</title><body>{body}'


async def plain(
    scope: Scope, receive: Receive, send: Send, status: int, what: str, safe: str, remedy: str
) -> None:
    """An answer from outside the app, where no template and no session is at hand."""
    request = PlainRequest(scope, receive)
    response: Response
    if wants(request) == "json":
        response = JSONResponse({"what": what, "safe": safe, "remedy": remedy}, status_code=status)
    else:
        response = HTMLResponse(_bare(status, what, safe, remedy), status_code=status)
    await response(scope, receive, send)


def answer(request: Request, status: int, what: str, safe: str, remedy: str, **more: object) -> Response:
    """The error in the form that was asked for."""
    form = wants(request)
    response: Response
    if form == "json":
        response = JSONResponse({"what": what, "safe": safe, "remedy": remedy}, status_code=status)
    else:
        from handbook.app.web.pages import show

        template = "fragments/fault.html" if form == "fragment" else "fault.html"
        context = {"what": what, "safe": safe, "remedy": remedy, "status": status, **more}
        try:
            response = show(request, template, context, status=status)
        except Exception:  # the page of errors must not fail: a broken template or session leaves plain words
            logging.getLogger(__name__).exception("The page of errors could not be made.")
            return HTMLResponse(_bare(status, what, safe, remedy), status_code=status)
        if form == "fragment":
            response.headers["X-Handbook-Fragment"] = "1"
    if form != "page":
        response.headers[HEADER] = fresh(request)
    remember(request, response)
    return response


def words(error: HandbookError) -> tuple[int, str]:
    status = next(code for kind, code in STATUS if isinstance(error, kind))
    return status, next((text for kind, text in SAFE.items() if isinstance(error, kind)), "")


def _refused(request: Request, error: TokenRefused) -> Response:
    status = 409 if error.reason == "spent" else 403
    safe, again = "Nothing was lost: what you sent is below, ready to be sent.", {}
    if wants(request) != "page" or error.files:
        safe = UNTOUCHED
    if not error.files:
        again = {"again": error.fields, "action": request.url.path}
    response = answer(request, status, error.what, safe, error.remedy, **again)
    response.headers["X-Handbook-Retry"] = "1"
    return response


def install(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(HandbookError)
    def handbook_error(request: Request, error: HandbookError) -> Response:
        if isinstance(error, TokenRefused):
            return _refused(request, error)
        status, safe = words(error)
        return answer(request, status, error.what, safe, error.remedy)

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return answer(request, 404, "There is no such page.", "", "Look in the contents, or search.")
        detail = str(error.detail)
        return answer(
            request,
            error.status_code,
            f"This can't be done here: {detail}.",
            UNTOUCHED,
            "Go back and try again.",
        )

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first.get("loc", ()))
        return answer(
            request, 422, f"{place}: {first.get('msg')}.", UNTOUCHED, "Correct the address and try again."
        )

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        return answer(
            request,
            500,
            f"The handbook made a mistake ({type(error).__name__}). That is a bug.",
            "The book and your data are where they were.",
            "Go back and try again; the terminal shows the details for a report.",
        )
