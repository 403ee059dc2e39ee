"""The interview questions of a chapter; everything but the question stays closed until it's asked for."""

from fastapi import APIRouter, Request, Response

from handbook.app.web.pages import shelf_of, show
from handbook.app.web.rooms.chapter import find

router = APIRouter()
LEVELS = ("foundation", "senior", "lead", "architect")


@router.get("/book/{part}/{slug}/questions")
def questions(request: Request, part: str, slug: str, level: str = "", kind: str = "") -> Response:
    shelf = shelf_of(request)
    book = shelf.book
    chapter = find(book, part, slug)
    shown = [
        question
        for question in chapter.questions
        if level in ("", question.level) and kind in ("", question.kind)
    ]
    shown.sort(key=lambda question: LEVELS.index(question.level))
    counts = {each: sum(question.level == each for question in chapter.questions) for each in LEVELS}
    return show(
        request,
        "questions.html",
        {
            "book": book,
            "chapter": chapter,
            "questions": shown,
            "level": level if level in LEVELS else "",
            "kind": kind,
            "kinds": sorted({question.kind for question in chapter.questions}),
            "counts": counts,
            "markdown": lambda text: shelf.fragment(chapter, text),
            "math": any("$" in question.answer + question.prompt for question in shown),
        },
    )
