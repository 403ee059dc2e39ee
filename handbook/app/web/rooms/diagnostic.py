"""The diagnostic: twenty minutes of typed answers, paused and resumed anywhere, and what they say.

Nothing of a question's rubric is on the page before it was answered. Each answer is graded on its way in;
what was found in it is shown with the next question, and can be corrected or taken back there.
"""

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from handbook.app.web import studying
from handbook.app.web.diagnosing import grade_of, seconds_of
from handbook.app.web.drilling import now, typed_on
from handbook.app.web.graded import view
from handbook.app.web.grading import Grading, by_hand, decisions
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.practising import moment
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import HEADER, Tokens, fields, fresh, remember, session_of
from handbook.errors import HandbookError, PlanError
from handbook.practice.diagnostic import BUDGET
from handbook.records import Question

if TYPE_CHECKING:
    from handbook.practice.diagnosing import Open
    from handbook.practice.diagnostic import Diagnostic, Result
    from handbook.practice.graph import Graph
    from handbook.practice.study import Study

router = APIRouter()
PLACE, BEFORE = "diagnostic", "diagnostic-before"  # drafts: what is typed; what another window had typed
LONGEST = 60_000  # characters of an answer
AT_ONCE = 0.3  # seconds that an answer waits for a quick grade, so that its page need not ask again
DECIDE = "decide-"
OWN = (
    ("again", "Not it", "little or nothing of the model answer"),
    ("hard", "Parts of it", "about half"),
    ("good", "Most of it", "the main points"),
    ("easy", "All of it", "the points and the reasons"),
)
Form = Annotated[dict[str, str], Depends(fields)]


@router.get("/diagnostic")
def page(request: Request, grading: str = "") -> Response:
    """The question that is asked now; before the first one, what this is; after the last one, the way on."""
    shelf = shelf_of(request)
    study = shelf.study
    opened = study.diagnosing.open()
    if opened is None:
        return _intro(request, shelf, study)
    shelf.warm_grader()
    found = shelf.gradings.get(grading) if grading else None
    question = opened.diagnostic.next()
    phase = "typing" if question is not None else "asked"
    if found is not None and question is not None and found.question.id == question.id:
        phase = {"waiting": "grading", "open": "rating"}.get(shelf.taking.state(found), phase)
    values = {
        **_time(opened),
        "phase": phase,
        "question": question,
        "grading": found if phase in ("grading", "rating") else None,
        "book": shelf.book,
        "own": OWN,
        "longest": LONGEST,
        "shown": now().isoformat(),
        "draft": None,
        "before": "",
        "last": _last(shelf, study, opened),
        "math": True,
    }
    if question is not None:
        chapter = shelf.book.chapter(question.chapter)
        assert chapter is not None, "the loader gives each question its chapter"
        older = study.deck.rows.draft(question.id, BEFORE)
        draft = study.deck.draft(question, PLACE)
        spent = draft.seconds / 60 if draft else 0.0
        values |= {
            "words_left": time_left(opened.diagnostic.left - spent, opened.diagnostic.budget),
            "chapter": chapter,
            "markdown": lambda text: shelf.fragment(chapter, text),
            "draft": draft,
            "before": older["text"] if older else "",
            "expected": max(1, round(opened.diagnostic.expected(question))),
        }
    return show(request, "diagnostic.html", values)


def _intro(request: Request, shelf: Shelf, study: "Study") -> Response:
    plan, last = study.plan(), study.rows.last_diagnostic()
    values = {
        "book": shelf.book,
        "levels": studying.LEVELS,
        "level": plan.level if plan else "senior",
        "budget": BUDGET,
        "questions": len(study.graph.questions),
        "last": last["ended"] if last else None,
    }
    return show(request, "diagnostic_begin.html", values)


def _time(opened: "Open") -> dict[str, Any]:
    diagnostic = opened.diagnostic
    return {
        "left": diagnostic.left,
        "budget": diagnostic.budget,
        "answered": len(diagnostic.answers),
    }


def time_left(left: float, budget: float) -> str:
    """Minutes, in whole ones: `About 14 of 20 minutes are left.`"""
    minutes = round(left)
    if minutes < 1:
        return "Less than a minute is left; take the time that this question needs."
    return f"About {minutes} of {budget:g} minutes {'is' if minutes == 1 else 'are'} left."


def _last(shelf: Shelf, study: "Study", opened: "Open") -> dict[str, Any] | None:
    """The answer before: what was found in it, where it was graded."""
    if not opened.diagnostic.answers:
        return None
    answer = opened.diagnostic.answers[-1]
    question = shelf.book.questions.get(answer.question)
    if question is None:
        return None
    chapter = shelf.book.chapter(question.chapter)
    found: dict[str, Any] = {"question": question, "how": answer.how, "note": answer.note, "rows": ()}
    review = study.deck.last(PLACE)
    if answer.how == "graded" and review is not None and review.question == question.id and chapter:
        row = study.deck.rows.review(review.key)
        grade = grade_of(row, question) if row else None
        if row is not None and grade is not None:
            decided = decisions(question, row["decided"])
            shown = view(Grading("", question, grade.answer, 0.0, decided, "done", grade=grade), {}, now())
            found |= {"rows": shown.rows, "markdown": lambda text: shelf.fragment(chapter, text)}
    return found


# Beginning and ending


@router.post("/diagnostic/begin")
def begin(request: Request, form: Form) -> Response:
    study = shelf_of(request).study
    level = form.get("level", "")
    if level not in studying.LEVELS:
        raise PlanError(f"Expected one of {', '.join(studying.LEVELS)}, got {level[:40]!r}.", "Choose one.")
    plan = study.plan()
    study.diagnosing.begin(level, focus=plan.focus() if plan else None)  # type: ignore[arg-type]
    return RedirectResponse("/diagnostic", 303)


@router.post("/diagnostic/end")
def end(request: Request, form: Form) -> Response:
    """End it, early or not; a plan that there is takes it in."""
    study = shelf_of(request).study
    opened = study.diagnosing.open()
    if opened is not None and not opened.diagnostic.answers:
        study.diagnosing.drop()
        return RedirectResponse("/diagnostic", 303)
    if opened is not None:
        result = study.diagnosing.end()
        if result.asked and study.plan() is not None:
            study.take_in()
    return RedirectResponse("/diagnostic/result", 303)


# Answers


def _question(shelf: Shelf, form: dict[str, str]) -> Question:
    question = shelf.book.questions.get(form.get("question", ""))
    if question is None:
        raise HTTPException(404)
    return question


def _answer(form: dict[str, str]) -> str:
    answer = form.get("answer", "").replace("\r\n", "\n").replace("\r", "\n")
    if len(answer) > LONGEST:
        raise HandbookError(
            f"Expected an answer of at most {LONGEST:,} characters, got {len(answer):,}.", "Shorten it."
        )
    return answer


@router.post("/diagnostic/answer")
def answer(request: Request, form: Form) -> Response:
    """Take an answer in: typed, not known, or left out. It is kept as a draft first."""
    shelf = shelf_of(request)
    study, question = shelf.study, _question(shelf, form)
    text, seconds = _answer(form), seconds_of(form, now())
    how = form.get("how", "")
    if how in ("dont-know", "skipped"):
        study.diagnosing.answered(question.id, seconds, text=text, how=how)  # type: ignore[arg-type]
        return RedirectResponse("/diagnostic", 303)
    if how == "pause" and not text.strip():
        return RedirectResponse("/", 303)
    if not text.strip():
        raise HandbookError(
            "There is no answer yet.", 'Go back and type one, or choose "I don\'t know" or "Leave it out".'
        )
    there = study.deck.draft(question, PLACE)
    if there is not None and there.text.strip() and not typed_on(there.text, text):  # a second window's
        study.deck.rows.save_draft(question.id, BEFORE, there.text, there.seconds, there.at)
    study.deck.save_draft(question, PLACE, text, seconds)
    if how == "pause":
        return RedirectResponse("/", 303)
    grading = shelf.taking.begin(question, text, seconds, AT_ONCE)
    taken = shelf.taking.state(grading) == "taken"
    return RedirectResponse("/diagnostic" if taken else f"/diagnostic?grading={grading.id}", 303)


@router.get("/diagnostic/state")
def state(request: Request, grading: str) -> Response:
    """How far a grade is, for scripts that wait for it."""
    shelf = shelf_of(request)
    found = shelf.gradings.get(grading)
    if found is None:
        raise HTTPException(404)
    words = {"waiting": "Another answer is graded first.", "loading": "Loading the model of the grader."}
    said = words.get(found.state, f"Grading against {len(found.question.criteria)} criteria.")
    return JSONResponse(
        {"state": shelf.taking.state(found), "said": said, "seconds": round(found.waited, 1)},
        headers={"Cache-Control": "no-store"},
    )


def _grading(shelf: Shelf, form: dict[str, str], question: Question) -> Grading:
    """The one that the form names; after a restart, one that leaves everything to the person."""
    found = shelf.gradings.get(form.get("grading", ""))
    if found is not None and found.question.id == question.id:
        return found
    text = _answer(form)
    lost = Grading("", question, text, seconds_of(form, now()), state="done")
    lost.grade = by_hand(question, text)
    return lost


@router.post("/diagnostic/stop")
def stop(request: Request, form: Form) -> Response:
    """Don't wait for the grader: the person rates the answer."""
    shelf = shelf_of(request)
    grading = shelf.gradings.get(form.get("grading", ""))
    if grading is None:
        return RedirectResponse("/diagnostic", 303)
    shelf.gradings.stop(grading)
    shelf.gradings.wait(grading, AT_ONCE)
    return RedirectResponse(f"/diagnostic?grading={grading.id}", 303)


@router.post("/diagnostic/rate")
def rate(request: Request, form: Form) -> Response:
    """What the person says of an answer that nobody graded: a rating, or criterion by criterion."""
    shelf = shelf_of(request)
    study, question = shelf.study, _question(shelf, form)
    grading = _grading(shelf, form, question)
    decided = _decided(question, form)
    if form.get("rating"):
        study.diagnosing.answered(question.id, grading.seconds, text=grading.answer, rating=form["rating"])
    elif decided:
        study.diagnosing.answered(
            question.id, grading.seconds, text=grading.answer, grade=grading.grade, decided=decided
        )
    else:
        raise HandbookError("Nothing was decided.", "Go back and choose a rating, or decide a criterion.")
    shelf.taking.rated(grading)
    return RedirectResponse("/diagnostic", 303)


def _decided(question: Question, form: dict[str, str]) -> Any:
    given = {name.removeprefix(DECIDE): form[name] for name in form if name.startswith(DECIDE)}
    return decisions(question, given)


@router.post("/diagnostic/correct")
def correct(request: Request, form: Form) -> Response:
    """The person's own verdicts on the last answer. Taken back and given anew; a handbook that stops in
    between asks that question again, with the answer in place."""
    shelf = shelf_of(request)
    study, question = shelf.study, _question(shelf, form)
    opened, review = study.diagnosing.open(), study.deck.last(PLACE)
    row = study.deck.rows.review(review.key) if review is not None else None
    answers = opened.diagnostic.answers if opened is not None else []
    if row is None or not answers or answers[-1].question != question.id or row["question"] != question.id:
        raise PlanError("Another answer came since, or that one is taken back already.", "Go on.")
    grade = grade_of(row, question)
    if grade is None:
        raise PlanError("The grade of that answer can't be read any more.", "Take the answer back instead.")
    before = {each.criterion: each.verdict for each in grade.judgements}
    decided = {id: said for id, said in _decided(question, form).items() if said != before[id]}
    study.diagnosing.undo()
    study.diagnosing.answered(question.id, row["seconds"], text=row["answer"], grade=grade, decided=decided)
    return RedirectResponse("/diagnostic", 303)


@router.post("/diagnostic/undo")
def undo(request: Request, form: Form) -> Response:
    """The last answer is asked again, its text in place."""
    shelf_of(request).study.diagnosing.undo()
    return RedirectResponse("/diagnostic", 303)


# Drafts


@router.post("/diagnostic/draft")
def keep(request: Request, form: Form) -> Response:
    """Keep what is typed; scripts send it. The token that it took is forgotten, else an hour of typing would
    push out those of other tabs."""
    shelf = shelf_of(request)
    deck, question = shelf.deck, _question(shelf, form)
    text, base = _answer(form), moment(form.get("base", "")) or datetime.min
    there = deck.draft(question, PLACE)
    if there is not None and there.text == text:
        at = there.at
    else:
        if there is not None and base != there.at and there.text.strip():
            deck.rows.save_draft(question.id, BEFORE, there.text, there.seconds, there.at)
        at = deck.save_draft(question, PLACE, text, seconds_of(form, now()))
    tokens: Tokens = request.app.state.tokens
    tokens.forget(session_of(request), request.headers.get(HEADER) or request.query_params.get("token", ""))
    response = JSONResponse({"version": at.isoformat()})
    if not request.query_params.get("token"):
        response.headers[HEADER] = fresh(request)
    remember(request, response)
    return response


@router.post("/diagnostic/before")
def bring_back(request: Request, form: Form) -> Response:
    """The text that another window had typed, for the one that stands there."""
    shelf = shelf_of(request)
    deck, question = shelf.deck, _question(shelf, form)
    older = deck.rows.draft(question.id, BEFORE)
    if older is not None:
        deck.rows.save_draft(question.id, BEFORE, _answer(form), seconds_of(form, now()), now())
        deck.save_draft(question, PLACE, older["text"], older["seconds"])
    return RedirectResponse("/diagnostic", 303)


# What it says


@router.get("/diagnostic/result")
def result(request: Request) -> Response:
    shelf = shelf_of(request)
    study = shelf.study
    last, found = study.diagnosing.last(), study.diagnosing.result()
    if last is None or found is None:
        return RedirectResponse("/diagnostic", 303)
    row = study.rows.last_diagnostic()
    values = {
        "book": shelf.book,
        "result": found,
        "ended": row["ended"] if row else None,
        "plan": study.plan(),
        "levels": studying.LEVELS,
        "states": [(state, _sections(found, study.graph, state)) for state in ("solid", "shaky", "unknown")],
        "answers": _answers(last, shelf),
    }
    return show(request, "diagnostic_result.html", values)


def _sections(result: "Result", graph: "Graph", state: str) -> list[tuple[str, list[Any]]]:
    """(chapter's title, its sections and how they stand)."""
    found: dict[str, list[Any]] = {}
    for id in result.those(state):  # type: ignore[arg-type]
        with contextlib.suppress(KeyError):  # the book has changed since
            concept = graph.concepts[id]
            found.setdefault(graph.titles[concept.chapter], []).append((concept, result.sections[id]))
    return list(found.items())


def _answers(diagnostic: "Diagnostic", shelf: Shelf) -> list[tuple[Question, str]]:
    """Each question, and what came of it in words."""
    said = {"dont-know": "not known", "skipped": "left out", "self": "by your own rating"}
    return [
        (shelf.book.questions[each.question], each.note or said.get(each.how, ""))
        for each in diagnostic.answers
        if each.question in shelf.book.questions
    ]
