"""The drill room: a question, a typed answer, its grade looked through and corrected, and the next one.

Nothing of a question's rubric is on the page before its answer was sent.
"""

import asyncio
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from handbook.app.web import drilling
from handbook.app.web.faults import wants
from handbook.app.web.graded import RATINGS, own_decisions, view, when
from handbook.app.web.grading import Decided, Grading, decisions
from handbook.app.web.pages import environment, shelf_of, show
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import HEADER, Tokens, fields, fresh, remember, session_of
from handbook.errors import HandbookError
from handbook.practice.due import Rating
from handbook.records import Question

if TYPE_CHECKING:
    from handbook.practice.cards import CardState, Deck

router = APIRouter()
PLACE, BEFORE = "drill", "drill-before"  # drafts: what is typed; what another window had typed
LONGEST = 60_000  # characters of an answer
AT_ONCE = 0.3  # seconds that an answer waits for a quick grade, so that its page need not ask again
POLLED = 0.8  # seconds that a question for news waits
DECIDE = "decide-"
LISTED = 12  # questions of the session that are named
Form = Annotated[dict[str, str], Depends(fields)]
_confirming = threading.Lock()  # an answer counts once, however often it is sent


def find(shelf: Shelf, id: str) -> Question:
    question = shelf.book.questions.get(id)
    if question is None:
        raise HTTPException(404)
    return question


def address(path: str, only: str = "", **query: str) -> str:
    query = {name: value for name, value in {"only": only, **query}.items() if value}
    return f"{path}?{urlencode(query)}" if query else path


def chapter_of(shelf: Shelf, only: str) -> str:
    """The slug of a chapter that there is, or ""."""
    return only if only in shelf.book.chapters else ""


def sitting_of(request: Request, shelf: Shelf, only: str) -> drilling.Sitting:
    at = drilling.now()
    later = drilling.later_of(request, at)
    nothing = drilling.Sitting((), (), 0)
    planned = shelf.studied(drilling.of_plan, None)
    return shelf.drilled(lambda deck: drilling.sitting(deck, only, later, at, planned), nothing)


# The session


@router.get("/drill")
def drill(request: Request, only: str = "", last: str = "") -> Response:
    """What is due and new today; after the session, what came of it."""
    shelf, at = shelf_of(request), drilling.now()
    book, only = shelf.book, chapter_of(shelf, only)
    sitting = sitting_of(request, shelf, only)
    states = shelf.drilled(lambda deck: deck.states(), dict[str, Any]())
    values = {
        "sitting": sitting,
        "listed": LISTED,
        "summary": shelf.drilled(lambda deck: drilling.summary(deck, book, at), None),
        "last": shelf.drilled(lambda deck: drilling.reviewed(deck, book, last, at), None) if last else None,
        "suspended": [book.questions[id] for id, each in states.items() if each.suspended],
        "leeches": [(book.questions[id], each) for id, each in states.items() if each.leech],
        "next_due": _next_due(states, at),
        "plan": shelf.studied(lambda study: study.plan() is not None, False),
        "only": only,
        "asked_only": address("", only),
        "chapters": [each for each in book.chapters.values() if each.questions],
        "book": book,
        "markdown": lambda question, text: shelf.fragment(book.chapters[_slug(question)], text),
        "math": True,
    }
    return show(request, "drill.html", values)


def _slug(question: Question) -> str:
    return question.chapter.rpartition("/")[2]


def _next_due(states: "dict[str, CardState]", at: datetime) -> str:
    """When something is due after today, in words."""
    ahead = [each.due for each in states.values() if each.due and each.due > at and not each.suspended]
    return when(min(ahead), at) if ahead else ""


@router.get("/drill/next")
def following(request: Request, only: str = "", last: str = "", put: str = "", how: str = "") -> Response:
    """To the next question; to the summary after the last one."""
    shelf = shelf_of(request)
    only = chapter_of(shelf, only)
    question = sitting_of(request, shelf, only).next
    path = f"/drill/{question.id}" if question else "/drill"
    return RedirectResponse(address(path, only, last=last, put=put, how=how), 303)


# A question


def _parts(
    request: Request, shelf: Shelf, question: Question, grading: Grading | None, only: str
) -> dict[str, Any]:
    """What the working part of the page is made of."""
    chapter = shelf.book.chapter(question.chapter)
    assert chapter is not None, "the loader gives each question its chapter"
    values: dict[str, Any] = {
        "question": question,
        "chapter": chapter,
        "grading": grading,
        "news_mark": grading.mark if grading else 0,  # read before the state: what changes meanwhile is news
        "phase": grading.state if grading else "typing",
        "only": only,
        "asked_only": address("", only),
        "carried": f"&only={only}" if only else "",
        "markdown": lambda text: shelf.fragment(chapter, text),
        "lost": False,
        "draft": None,
        "before": "",
    }
    if grading is None:
        values["draft"] = shelf.drilled(lambda deck: deck.draft(question, PLACE), None)
        older = shelf.drilled(lambda deck: deck.rows.draft(question.id, BEFORE), None)
        values["before"] = older["text"] if older else ""
    elif values["phase"] == "done":
        at = drilling.now()
        due = shelf.drilled(lambda deck: deck.preview(question, at), dict[Rating, datetime]())
        paragraph = chapter.paragraph(question.anchor)
        values |= {
            "view": view(grading, due, at),
            "paragraph": paragraph,
            "section": chapter.section(paragraph.section) if paragraph else None,
        }
    return values


def _standing(state: "CardState | None", at: datetime) -> str:
    if state is None or state.new:
        return "New to you."
    if state.suspended:
        return "You laid it aside."
    if state.due is None:
        return ""
    coming = when(state.due, at)
    return "Due." if coming == "today" else f"Not due before {coming.removeprefix('in ')}."


@router.get("/drill/{id}")
def page(
    request: Request,
    id: str,
    only: str = "",
    grading: str = "",
    last: str = "",
    put: str = "",
    how: str = "",
    lost: str = "",
) -> Response:
    shelf, at = shelf_of(request), drilling.now()
    book, question = shelf.book, find(shelf, id)
    only = chapter_of(shelf, only)
    shelf.warm_grader()
    shown = shelf.gradings.get(grading) if grading else None
    if shown is not None and shown.question.id != id:
        shown = None
    sitting = sitting_of(request, shelf, only)
    state = shelf.drilled(lambda deck: deck.state(question), None)
    done = shelf.drilled(lambda deck: drilling.reviewed(deck, book, last, at), None) if last else None
    texts = [question.prompt, question.answer, *(each.yes for each in question.criteria)]
    values = {
        **_parts(request, shelf, question, shown, only),
        "book": book,
        "card": state,
        "standing": _standing(state, at),
        "left": _left(sitting),
        "last": done or drilling.put(book, put, how),
        "lost": bool(lost) or (bool(grading) and shown is None),
        "math": any("$" in each for each in texts) or _paragraph_math(shelf, question),
    }
    return show(request, "drill_question.html", values)


def _paragraph_math(shelf: Shelf, question: Question) -> bool:
    chapter = shelf.book.chapter(question.chapter)
    paragraph = chapter.paragraph(question.anchor) if chapter else None
    return paragraph is not None and "$" in paragraph.text


def _left(sitting: drilling.Sitting) -> str:
    """`Today: 3 due, 2 new, about 15 minutes.`"""
    counts = [
        (sitting.count("due"), "due"),
        (sitting.count("new"), "new"),
        (sitting.count("again"), "once more"),
    ]
    named = [f"{count} {what}" for count, what in counts if count]
    return f"Left today: {', '.join(named)}; about {max(1, sitting.minutes)} minutes." if named else ""


def _changed(
    request: Request, shelf: Shelf, grading: Grading, form: dict[str, str], lost: str = ""
) -> Response:
    """After a change of a grade: the working part of the page, or the page itself."""
    only = chapter_of(shelf, form.get("only", ""))
    question = grading.question
    if wants(request) != "fragment":
        return RedirectResponse(address(f"/drill/{question.id}", only, grading=grading.id, lost=lost), 303)
    forget_token(request)
    response = _work(_parts(request, shelf, question, grading, only))
    response.headers[HEADER] = fresh(request)
    remember(request, response)
    return response


def _work(values: dict[str, Any]) -> Response:
    """The working part of the page, for scripts: its forms hold no tokens, which scripts fetch themselves."""
    html = environment.get_template("fragments/drill_work.html").render(token="", **values)
    return Response(html, media_type="text/html", headers={"Cache-Control": "no-store"})


def forget_token(request: Request) -> None:
    """The one that a script took: else an hour of typing and deciding would push out those of other tabs."""
    tokens: Tokens = request.app.state.tokens
    tokens.forget(session_of(request), request.headers.get(HEADER) or request.query_params.get("token", ""))


# Grading


def answer_of(form: dict[str, str]) -> str:
    answer = form.get("answer", "").replace("\r\n", "\n").replace("\r", "\n")
    if len(answer) > LONGEST:
        raise HandbookError(
            f"Expected an answer of at most {LONGEST:,} characters, got {len(answer):,}.", "Shorten it."
        )
    return answer


def seconds_of(form: dict[str, str]) -> float:
    digits = form.get("seconds", "")
    return (
        float(min(int(digits), 86_400)) if digits.isascii() and digits.isdigit() and len(digits) < 9 else 0.0
    )


@router.post("/drill/undo")
def undo(request: Request, form: Form) -> Response:
    """The last answer counts no more: its grade is on the page again, as the person had left it."""
    shelf = shelf_of(request)
    deck, only = shelf.deck, chapter_of(shelf, form.get("only", ""))
    last = deck.last()
    if last is None or (form.get("review") and last.key != form["review"]):
        raise HandbookError("Another answer was counted since, or that one is taken back already.", "Go on.")
    undone = deck.undo()
    question = shelf.book.questions.get(undone.question) if undone else None
    if undone is None or question is None:
        return RedirectResponse(address("/drill", only), 303)
    shelf.gradings.taken_back(undone.key)
    row = deck.rows.review(undone.key) or {}
    grading = shelf.gradings.begin(question, undone.answer, row.get("seconds", 0.0), row.get("decided", {}))
    shelf.gradings.wait(grading, AT_ONCE)
    return RedirectResponse(address(f"/drill/{question.id}", only, grading=grading.id), 303)


def keep_typed(
    deck: "Deck", question: Question, text: str, seconds: float, base: datetime | None
) -> datetime:
    """Keep what is typed; the moment that it has from now on. base: of the draft that it was typed on, None
    where a form does not say; where another one stands by now (a second window), that one can be brought
    back."""
    there = deck.draft(question, PLACE)
    if there is not None and there.text == text:
        return there.at
    elsewhere = there is not None and (
        base != there.at if base is not None else not drilling.typed_on(there.text, text)
    )
    if there is not None and elsewhere and there.text.strip():
        deck.rows.save_draft(question.id, BEFORE, there.text, there.seconds, there.at)
    return deck.save_draft(question, PLACE, text, seconds)


@router.post("/drill/{id}")
def send(request: Request, id: str, form: Form) -> Response:
    """Grade an answer. It is kept as a draft first."""
    shelf = shelf_of(request)
    question = find(shelf, id)
    answer, seconds = answer_of(form), seconds_of(form)
    if form.get("unknown"):
        answer = "" if not answer.strip() else answer
    elif not answer.strip():
        raise HandbookError("There is no answer yet.", 'Type one, or choose "I don\'t know".')
    shelf.drilled(lambda deck: keep_typed(deck, question, answer, seconds, None), None)
    grading = shelf.gradings.begin(question, answer, seconds)
    shelf.gradings.wait(grading, AT_ONCE)
    return _changed(request, shelf, grading, form)


@router.get("/drill/{id}/grading/{key}")
async def news(request: Request, id: str, key: str, mark: int = -1) -> Response:
    """The working part of the page once there is news, or after a moment. Without tokens: it is asked again
    and again."""
    shelf = shelf_of(request)
    found = shelf.gradings.get(key)
    if found is None or found.question.id != id:
        raise HTTPException(404)
    end = time.monotonic() + POLLED
    while found.mark == mark and not found.over and time.monotonic() < end:
        await asyncio.sleep(0.02)
    only = chapter_of(shelf, request.query_params.get("only", ""))
    return _work(await asyncio.to_thread(_parts, request, shelf, found.question, found, only))


def _grading(shelf: Shelf, id: str, form: dict[str, str]) -> Grading | None:
    found = shelf.gradings.get(form.get("grading", ""))
    return found if found is not None and found.question.id == id else None


@router.post("/drill/{id}/stop")
def stop(request: Request, id: str, form: Form) -> Response:
    """Don't wait for the grader: the person judges."""
    shelf = shelf_of(request)
    grading = _grading(shelf, id, form)
    if grading is None:
        raise HTTPException(404)
    shelf.gradings.stop(grading)
    return _changed(request, shelf, grading, form)


def _decided(question: Question, form: dict[str, str]) -> Decided:
    return decisions(
        question, {name.removeprefix(DECIDE): form[name] for name in form if name.startswith(DECIDE)}
    )


@router.post("/drill/{id}/decide")
def decide(request: Request, id: str, form: Form) -> Response:
    """What the person says of each criterion; the rating follows."""
    shelf = shelf_of(request)
    question = find(shelf, id)
    grading = _grading(shelf, id, form)
    if grading is None:
        grading = _graded_anew(shelf, question, form)
        return _changed(request, shelf, grading, form, lost="1")
    grading.decided = _decided(question, form)
    return _changed(request, shelf, grading, form)


def _graded_anew(shelf: Shelf, question: Question, form: dict[str, str]) -> Grading:
    """The handbook was started anew since the answer was graded: again, with what the person decided."""
    grading = shelf.gradings.begin(question, answer_of(form), seconds_of(form), _decided(question, form))
    shelf.gradings.wait(grading, AT_ONCE)
    return grading


@router.post("/drill/{id}/confirm")
def confirm(request: Request, id: str, form: Form) -> Response:
    """The answer counts as the person sees it. A rating that the form did not propose is the person's own."""
    shelf = shelf_of(request)
    question, only = find(shelf, id), chapter_of(shelf, form.get("only", ""))
    grading = _grading(shelf, id, form)
    if grading is None or grading.grade is None:
        again = grading or _graded_anew(shelf, question, form)
        return RedirectResponse(address(f"/drill/{id}", only, grading=again.id, lost="1"), 303)
    with _confirming:
        if not grading.kept:
            grading.decided = _decided(question, form)
            grading.kept = _count(shelf.deck, grading, form)
    return RedirectResponse(address("/drill/next", only, last=grading.kept), 303)


def _count(deck: "Deck", grading: Grading, form: dict[str, str]) -> str:
    """Keep the review; its key."""
    assert grading.grade is not None
    chosen = form.get("rating", "")
    own = [each for each in RATINGS if each == chosen and chosen != form.get("proposed", "")]
    reviewed = deck.answered(
        grading.question,
        grading.answer,
        grading.grade,
        own_decisions(grading),
        grading.seconds,
        rating=own[0] if own else None,
        kind=PLACE,
    )
    older = deck.rows.draft(grading.question.id, BEFORE)
    if older is not None and drilling.typed_on(older["text"], grading.answer):
        deck.rows.forget_draft(grading.question.id, BEFORE)
    return reviewed.key
