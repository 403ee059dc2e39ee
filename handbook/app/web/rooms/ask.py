"""Ask: a question, an answer of cited passages, and on request a generated one that is held against them."""

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from handbook.app.web import events, prepare
from handbook.app.web.faults import wants
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import fields
from handbook.errors import HandbookError
from handbook.records import Answer, Hit, Sentence

router = APIRouter()
LONGEST = 2000


def not_ready(shelf: Shelf) -> str:
    """Why the book can't be asked yet; empty when it can."""
    job = shelf.jobs.get(prepare.JOB)
    if job is None or shelf.corpus.ready:
        return ""
    if job.state == "running":
        how_far = f" ({job.share}%)" if job.share is not None else ""
        return f"The book is being made ready for questions: {job.note or 'starting'}{how_far}."
    return f"{job.what} {job.remedy}" if job.state == "failed" else ""


@router.get("/ask")
def page(request: Request, q: str = "") -> Response:
    shelf = shelf_of(request)
    question = q.strip()[:LONGEST]
    answer: Answer | None = None
    waiting, nearest = "", list[Hit]()
    if question:
        waiting = not_ready(shelf)
        if waiting:
            nearest = shelf.corpus.search(question, 6, kinds=("paragraph",))
        else:
            try:
                answer = shelf.answer(question)
            except HandbookError as error:
                waiting = f"{error.what} {error.remedy}"
                nearest = shelf.corpus.search(question, 6, kinds=("paragraph",))
    sources = (
        list({c.chunk.id: c.chunk for s in answer.sentences for c in s.citations}.values()) if answer else []
    )
    return show(
        request,
        "ask.html",
        {
            "book": shelf.book,
            "asked": question,
            "answer": answer,
            "sources": sources,
            "numbers": {chunk.id: at for at, chunk in enumerate(sources, start=1)},
            "waiting": waiting,
            "nearest": nearest,
            "math": bool(question),
            "model": shelf.chat.name,
            "asks": [] if question else shelf.asks(8),
        },
    )


@router.post("/ask")
def log(request: Request, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """Keep the question in the reader's own list, then show the answer at its own address."""
    shelf = shelf_of(request)
    question = form.get("question", "").strip()[:LONGEST]
    if not question:
        return RedirectResponse("/ask", 303)
    if not not_ready(shelf):
        try:
            answer = shelf.answer(question)
            shelf.state(lambda database: database.log_ask(answer), 0)
        except HandbookError:
            pass  # the page that follows asks again and says why
    return RedirectResponse(f"/ask?q={quote(question)}", 303)


def _sentence(sentence: Sentence) -> events.Event:
    cited = [
        {"title": each.chunk.title, "url": each.chunk.url, "score": round(each.score, 3)}
        for each in sentence.citations
    ]
    return "sentence", {"text": sentence.text, "supported": sentence.supported, "citations": cited}


def _generated(shelf: Shelf, question: str) -> Iterator[events.Event]:
    answer = shelf.answer(question)
    total, supported, speed = 0, 0, ""
    for piece in shelf.tutor.generate(question, answer):
        if isinstance(piece, Sentence):
            total += 1
            supported += piece.supported
            yield _sentence(piece)
        else:
            if piece.text:
                yield "token", {"text": piece.text}
            if piece.usage:
                speed = f", {piece.usage.tokens_per_second:.1f} tokens a second"
    yield "done", {"note": f"{supported} of {total} sentences supported by the passages{speed}."}


@router.post("/ask/generate")
def generate(request: Request, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    shelf = shelf_of(request)
    question = form.get("question", "").strip()[:LONGEST]
    generated = _generated(shelf, question)
    if wants(request) == "json":
        return events.stream(request, generated)
    written = [data for name, data in generated if name in ("sentence", "done")]
    return show(
        request,
        "generated.html",
        {"book": shelf.book, "asked": question, "sentences": written[:-1], "note": written[-1]["note"]},
    )
