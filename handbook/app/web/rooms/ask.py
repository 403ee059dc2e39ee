"""Ask: a question, an answer of cited passages, and on request a generated one that is held against them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from handbook.app.web import events, hood, prepare
from handbook.app.web.faults import wants
from handbook.app.web.pages import CORPUS_COOKIE, shelf_of, show
from handbook.app.web.shelf import AUTO, BOOK, Shelf
from handbook.app.web.tokens import FIELD, fields, fresh
from handbook.errors import HandbookError
from handbook.records import Answer, Chunk, Hit, Sentence

router = APIRouter()
LONGEST = 2000
TURNS = 4  # questions before this one that it may lean on


def not_ready(shelf: Shelf) -> str:
    """Why the book can't be asked yet; empty when it can."""
    job = shelf.jobs.get(prepare.JOB)
    if job is None or shelf.corpus.ready:
        return ""
    if job.state == "running":
        how_far = f" ({job.share}%)" if job.share is not None else ""
        return f"The book is being made ready for questions: {job.note or 'starting'}{how_far}."
    return f"{job.what} {job.remedy}" if job.state == "failed" else ""


def address(question: str, corpus: str = BOOK, after: str = "", **more: str) -> str:
    """Where an answer is read."""
    given = {"q": question, "corpus": corpus if corpus != BOOK else "", "after": after, **more}
    return "/ask?" + urlencode({name: value for name, value in given.items() if value})


def turns(after: str) -> list[str]:
    """The questions that one follows on, a line each, the last few."""
    found = [line.strip()[:LONGEST] for line in after.splitlines()]
    return [line for line in found if line][-TURNS:]


def known(shelf: Shelf, corpus: str) -> str:
    """The corpus that is asked for. Raises HandbookError for one that isn't there."""
    there = {each.name for each in shelf.corpora_there()}
    if not corpus or corpus == BOOK or (corpus == AUTO and not there):
        return BOOK
    if corpus in there or corpus == AUTO:
        return corpus
    raise HandbookError(f"There is no corpus {corpus[:60]!r}.", "Choose one that is there, or the book.")


def titles(shelf: Shelf) -> Callable[[str], str]:
    """What a corpus is called, by its name."""
    known = {each.name: each.title for each in shelf.corpora_there()}
    return lambda name: "The book" if name == BOOK else known.get(name, name)


def said_where(text: str, about: str) -> str:
    """The sentence of a passage that is about something: the one that has most of its words."""
    from handbook.rag.sentences import spans
    from handbook.rag.text import words

    wanted = set(words(about))
    blocks = [block for block in text.split("\n\n") if block.strip()]
    parts = [block[start:end] for block in blocks for start, end in spans(block)]
    return max(parts, key=lambda part: len(wanted & set(words(part))), default=text)


@router.get("/ask")
def page(
    request: Request, q: str = "", corpus: str | None = None, after: str = "", ask: str = "", said: str = ""
) -> Response:
    shelf = shelf_of(request)
    question = q.strip()[:LONGEST]
    into = known(shelf, corpus or BOOK)
    before = turns(after)
    answer: Answer | None = None
    waiting, nearest = "", list[Hit]()
    if question:
        waiting = not_ready(shelf) if into in (BOOK, AUTO) else ""
        if not waiting:
            try:
                answer = shelf.answer(question, into, before)
            except HandbookError as error:
                waiting = f"{error.what} {error.remedy}"
        if waiting and into == BOOK:
            nearest = shelf.corpus.search(question, 6, kinds=("paragraph",))
    whose = (answer.corpus if into == AUTO and answer.sentences else into) if answer else into
    cited = [each.chunk for sentence in answer.sentences for each in sentence.citations] if answer else []
    sources = list({chunk.id: chunk for chunk in cited}.values())

    def ping(chunk: Chunk) -> str:
        """Where a browser says that the citation was opened."""
        told = {"kind": "cited", "corpus": whose, "chunk": chunk.id, "ask": ask, "question": question[:200]}
        return "/signals?" + urlencode({**told, FIELD: fresh(request)})

    values: dict[str, Any] = {
        "book": shelf.book,
        "asked": question,
        "answer": answer,
        "refused": answer is not None and answer.refused,
        "sources": sources,
        "numbers": {chunk.id: at for at, chunk in enumerate(sources, start=1)},
        "waiting": waiting,
        "nearest": nearest,
        "math": bool(question),
        "model": shelf.chat.name,
        "asks": [] if question else shelf.asks(8),
        "corpus": whose,
        "corpus_title": titles(shelf),
        "ping": ping,
        "said_where": said_where,
        "ask": ask if ask.isascii() and ask.isdigit() else "",
        "said": said,
        "after": "\n".join(before),
        "follows": "\n".join([*before, question][-TURNS:]),
        "back": address(question, into, "\n".join(before), ask=ask),
        "hood": [],
    }
    if answer is not None:
        values["hood"] = hood.views(answer.steps, shelf.book, hood.answer_urls(answer))
        values["hood_total"] = hood.total(answer.steps)
    if corpus is not None or question:
        values["chosen_corpus"] = into
    return show(request, "ask.html", values)


@router.post("/ask")
def log(request: Request, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """Keep the question in the reader's own list, then show the answer at its own address. The corpus is
    remembered for the next question."""
    shelf = shelf_of(request)
    question = form.get("question", "").strip()[:LONGEST]
    into = known(shelf, form.get("corpus", BOOK))
    after = "\n".join(turns(form.get("after", ""))) if form.get("follow") else ""
    if not question:
        return RedirectResponse("/ask", 303)
    ask = ""
    if into not in (BOOK, AUTO) or not not_ready(shelf):
        try:
            answer = shelf.answer(question, into, turns(after))
            kept = replace(answer, steps=())  # the trace is long, and made again with the answer
            ask = str(shelf.state(lambda database: database.log_ask(kept), 0) or "")
        except HandbookError:
            pass  # the page that follows asks again and says why
    response = RedirectResponse(address(question, into, after, ask=ask), 303)
    if shelf.corpora_there():
        response.set_cookie(
            CORPUS_COOKIE, into, max_age=365 * 86400, httponly=True, samesite="strict", path="/"
        )
    return response


def _sentence(sentence: Sentence) -> events.Event:
    cited = [
        {"title": each.chunk.title, "url": each.chunk.url, "score": round(each.score, 3)}
        for each in sentence.citations
    ]
    return "sentence", {"text": sentence.text, "supported": sentence.supported, "citations": cited}


def _generated(shelf: Shelf, question: str, corpus: str, after: list[str]) -> Iterator[events.Event]:
    answer = shelf.answer(question, corpus, after)
    total, supported, speed = 0, 0, ""
    for piece in shelf.desk.generate(question, answer):
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
    into = known(shelf, form.get("corpus", BOOK))
    after = form.get("after", "")
    generated = _generated(shelf, question, into, turns(after))
    if wants(request) == "json":
        return events.stream(request, generated)
    written = [data for name, data in generated if name in ("sentence", "done")]
    return show(
        request,
        "generated.html",
        {
            "book": shelf.book,
            "asked": question,
            "sentences": written[:-1],
            "note": written[-1]["note"],
            "back": address(question, into, after),
        },
    )
