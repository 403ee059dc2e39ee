"""What became of an answer: whether it helped, and which citations were opened.

A citation's link tells it by `ping`, which browsers send by themselves (a script does it where they don't);
the two buttons below an answer are a form. Kept in the reader's own database, and shown with the corpus.
"""

from typing import TYPE_CHECKING, Annotated, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from handbook.app.web.faults import wants
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.tokens import fields
from handbook.errors import HandbookError

if TYPE_CHECKING:
    from handbook.database.store import SignalKind

router = APIRouter()
KINDS = ("cited", "helped", "not_helped")
LONGEST = 2000
NAME = 60  # characters of a corpus's name
ID = 200  # of a passage's id


@router.post("/signals")
def signal(request: Request, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    told = {**request.query_params, **form}
    kind, question = told.get("kind", ""), told.get("question", "").strip()[:LONGEST]
    if kind not in KINDS or not question:
        raise HandbookError(
            f"Expected a question and one of cited, helped, not_helped; got {kind[:20]!r}.", "Go back."
        )
    corpus, chunk = told.get("corpus", "")[:NAME] or "book", told.get("chunk", "")[:ID]
    number = told.get("ask", "")
    ask = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
    shelf = shelf_of(request)
    shelf.database.signal(cast("SignalKind", kind), question, corpus, chunk, ask)
    if kind == "cited":
        return Response(status_code=204)
    if wants(request) == "fragment":
        return show(request, "fragments/feedback.html", {"said": kind, "corpus": corpus})
    back = told.get("back", "")
    if not back.startswith("/ask?"):
        back = f"/ask?{urlencode({'q': question})}"
    return RedirectResponse(f"{back}&said={kind}#feedback", 303)
