"""An exercise: statement, editor, verdicts, hints one by one, and the solution to whom has solved it or given
up. What is typed is kept as a draft, what is run as an attempt."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from handbook.app.growing import growth_chart
from handbook.app.web import practising, reports
from handbook.app.web.faults import wants
from handbook.app.web.judging import Run
from handbook.app.web.pages import environment, shelf_of, show
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import HEADER, Tokens, fields, fresh, remember, session_of
from handbook.book.nouns import Exercise
from handbook.book.svg import inline
from handbook.errors import HandbookError
from handbook.practice import due
from handbook.practice.verdicts import Isolation, Report

if TYPE_CHECKING:
    from handbook.database.practice import Practice

router = APIRouter()
LONGEST = 100_000  # characters of a submission
LONGEST_INPUT = 10_000  # of an input to try
AT_ONCE = 0.25  # seconds that an answer waits for a quick run, so that its page need not ask again
POLLED = 0.8  # seconds that a question for news waits
LISTED = 5  # attempts on the page
CONSENT = "handbook_judge_consent"
YEAR = 365 * 86400
Form = Annotated[dict[str, str], Depends(fields)]


def find(shelf: Shelf, name: str) -> Exercise:
    exercise = shelf.book.exercises.get(name)
    if exercise is None:
        raise HTTPException(404)
    return exercise


def solution_of(exercise: Exercise) -> tuple[str, str]:
    """Its text, and where it lives when it is our own code."""
    if exercise.solution:
        from handbook.book.symbols import source

        return source(exercise.solution).text, exercise.solution
    return exercise.file("solution.py").read_text(encoding="utf-8"), ""


def told(report: Report, hidden: bool = True) -> dict[str, Any]:
    """What a page shows of a report."""
    chart = growth_chart(report.growth) if report.growth else ""
    return {
        "report": report,
        "chart": inline(chart, "growth-", "growth-title") if chart else "",
        "seconds_shown": _seconds,
        "rows": reports.rows,
        "beneath": reports.beneath,
        "said_by": reports.said_by,
        "states": reports.STATES,
        "held": reports.held(report.isolation),
        "hidden_ran": hidden,
        "whole": practising.solves(report, hidden),
    }


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.1f} ms"


# What a page is made of


def _run_parts(shelf: Shelf, exercise: Exercise, run: Run | None) -> dict[str, Any]:
    """Of the tests and of the input: what runs now, or came of it."""
    values: dict[str, Any] = {"run": None, "input_run": None, "told": None, "kept": None, "tried": None}
    if run is None:
        return values
    place = shelf.runs.place(run)
    if run.kind == "input":
        return {**values, "input_run": run, "tried": run.tried, "place": place, "seconds_shown": _seconds}
    planned = reports.planned(exercise, run.kind == "all")
    values |= {"run": run, "place": place, "planned": planned, "kept": run.kept}
    if run.report is not None and run.state == "done":
        values["told"] = told(run.report, run.kind == "all")
    return values


def _standing_parts(shelf: Shelf, exercise: Exercise) -> dict[str, Any]:
    """Hints, solution, attempts, and when it is due."""
    chapter = shelf.book.chapter(exercise.chapter)
    assert chapter is not None, "the loader gives each exercise its chapter"
    state = shelf.practised(lambda practice: practice.state(exercise.name), None)
    rows = shelf.practised(
        lambda practice: practice.attempts(exercise.name, LISTED + 1), list[dict[str, Any]]()
    )
    solved = exercise.name in shelf.solved()
    opened = state["hints"] if state else 0
    hints = [shelf.fragment(chapter, hint) for hint in exercise.hints[:opened]]
    at = practising.now()
    values: dict[str, Any] = {
        "exercise": exercise,
        "hints": hints,
        "state": state,
        "standing": practising.standing(state, bool(rows), solved),
        "ended": practising.ended(state),
        "due_now": state is not None and due.is_due(state["due"], at),
        "due": due.in_words(state["due"], at) if state and state["due"] else "",
        "attempts": rows,
        "listed": LISTED,
        "keeps": not shelf.notices,
    }
    if values["ended"]:
        solution, symbol = solution_of(exercise)
        wrapper = exercise.file("solution.py").read_text(encoding="utf-8") if symbol else ""
        commentary = shelf.fragment(chapter, exercise.commentary) if exercise.commentary else ""
        values |= {"solution": solution, "symbol": symbol, "wrapper": wrapper, "commentary": commentary}
    return values


def _consent(request: Request, shelf: Shelf) -> bool:
    """Whether this reader still has to agree: what runs here could do harm as the person who runs it."""
    from handbook.practice.sandbox.opened import needs_consent

    isolation = _isolation(shelf)[0]
    return isolation is not None and needs_consent(isolation) and request.cookies.get(CONSENT) != "given"


def _isolation(shelf: Shelf) -> tuple[Isolation | None, HandbookError | None]:
    """What holds a submission here, or why none can run at all."""
    try:
        return shelf.judges.isolation, None
    except HandbookError as error:
        return None, error


@router.get("/exercise/{name}")
def page(request: Request, name: str, run: str = "") -> Response:
    shelf = shelf_of(request)
    exercise = find(shelf, name)
    shelf.judges.warm()
    shown = shelf.runs.get(run) if run else None
    if shown is not None and shown.exercise.name != name:
        shown = None
    isolation, unable = _isolation(shelf)
    draft = shelf.practised(lambda practice: practice.draft(name), None)
    chapter = shelf.book.chapter(exercise.chapter)
    assert chapter is not None
    statement = shelf.fragment(chapter, exercise.statement)
    values = {
        **_run_parts(shelf, exercise, shown),
        **_standing_parts(shelf, exercise),
        "book": shelf.book,
        "chapter": chapter,
        "statement": statement,
        "code": draft["code"] if draft else exercise.starter,
        "draft": draft,
        "cut_off": bool(run) and shown is None,
        "snippet": shown.snippet if shown is not None else "",
        "consent": _consent(request, shelf),
        "isolation": isolation,
        "held": reports.held(isolation) if isolation else "",
        "unable": unable,
    }
    texts = [*exercise.hints, exercise.commentary]  # what is still closed may hold mathematics too
    found = [statement, *(shelf.fragment(chapter, each) for each in texts)]
    return show(request, "exercise.html", {**values, "math": any('class="math' in each for each in found)})


def _answer(request: Request, shelf: Shelf, exercise: Exercise, run: Run) -> Response:
    """After a change: the parts of the page, or the page itself."""
    if wants(request) != "fragment":
        place = "input" if run.kind == "input" else "tests"
        return RedirectResponse(f"/exercise/{exercise.name}?run={run.id}#{place}", 303)
    values = {**_run_parts(shelf, exercise, run), **_standing_parts(shelf, exercise)}
    return show(request, "fragments/exercise_parts.html", values)


# Running


def _code(form: dict[str, str]) -> str:
    code = form.get("code", "").replace("\r\n", "\n")
    if len(code) > LONGEST:
        raise HandbookError(f"Expected at most {LONGEST} characters of code, got {len(code)}.", "Shorten it.")
    return code


def _agreed(request: Request, shelf: Shelf, form: dict[str, str]) -> bool:
    """Whether the reader agrees with this form. Raises HandbookError where nobody has."""
    if not _consent(request, shelf):
        return False
    if form.get("consent") != "yes":
        raise HandbookError(
            "Nothing was run: on this system the kernel does not hold back all that runs here, and you have "
            "not agreed to that yet.",
            "Go back, read the lines under the editor, and tick the box.",
        )
    return True


def _begin(
    request: Request, shelf: Shelf, exercise: Exercise, form: dict[str, str], input_: bool
) -> Response:
    code = _code(form)
    shelf.practised(lambda practice: _keep_typed(practice, exercise.name, code), None)
    agreed = _agreed(request, shelf, form)
    if input_:
        snippet = form.get("snippet", "").replace("\r\n", "\n")
        if len(snippet) > LONGEST_INPUT:
            what = f"Expected at most {LONGEST_INPUT} characters of input, got {len(snippet)}."
            raise HandbookError(what, "Shorten it.")
        run = shelf.runs.begin(exercise, code, "input", snippet)
    else:
        run = shelf.runs.begin(exercise, code, "visible" if form.get("kind") == "visible" else "all")
    end = time.monotonic() + AT_ONCE
    while not run.over and time.monotonic() < end:
        shelf.runs.wait(run, run.mark, end - time.monotonic())
    response = _answer(request, shelf, exercise, run)
    if agreed:
        response.set_cookie(CONSENT, "given", max_age=YEAR, httponly=True, samesite="strict", path="/")
    return response


@router.post("/exercise/{name}")
def run(request: Request, name: str, form: Form) -> Response:
    """Run the shown tests, and unless the form says `visible` the hidden ones. The code is kept first."""
    shelf = shelf_of(request)
    return _begin(request, shelf, find(shelf, name), form, input_=False)


@router.post("/exercise/{name}/input")
def try_input(request: Request, name: str, form: Form) -> Response:
    """Run an input of the reader's own after the code, and after the book's solution."""
    shelf = shelf_of(request)
    return _begin(request, shelf, find(shelf, name), form, input_=True)


@router.get("/exercise/{name}/run/{id}")
async def news(request: Request, name: str, id: str, mark: int = -1) -> Response:
    """The parts of the page once there is news of a run, or after a moment. Without tokens: it is asked again
    and again."""
    shelf = shelf_of(request)
    exercise = await asyncio.to_thread(find, shelf, name)
    found = shelf.runs.get(id)
    if found is None or found.exercise.name != name:
        raise HTTPException(404)
    end = time.monotonic() + POLLED
    while found.mark == mark and not found.over and time.monotonic() < end:
        await asyncio.sleep(0.02)
    values = await asyncio.to_thread(_news_values, shelf, exercise, found)
    html = environment.get_template("fragments/exercise_parts.html").render(token="", **values)
    return Response(html, media_type="text/html", headers={"Cache-Control": "no-store"})


def _news_values(shelf: Shelf, exercise: Exercise, run: Run) -> dict[str, Any]:
    values = _run_parts(shelf, exercise, run)
    return {**values, **(_standing_parts(shelf, exercise) if run.over else {"exercise": exercise})}


@router.post("/exercise/{name}/stop")
def stop(request: Request, name: str, form: Form) -> Response:
    shelf = shelf_of(request)
    exercise = find(shelf, name)
    found = shelf.runs.get(form.get("run", ""))
    if found is None or found.exercise.name != name:
        raise HTTPException(404)
    shelf.runs.stop(found)
    end = time.monotonic() + 2
    while not found.over and time.monotonic() < end:
        shelf.runs.wait(found, found.mark, end - time.monotonic())
    return _answer(request, shelf, exercise, found)


# Drafts


@router.post("/exercise/{name}/draft")
def draft(request: Request, name: str, form: Form) -> Response:
    """Keep what is typed; scripts send it after a pause. The token that it took is forgotten, else an hour of
    typing would push out those of other tabs."""
    shelf = shelf_of(request)
    find(shelf, name)
    code = _code(form)
    base = practising.moment(form.get("base", ""))
    at = practising.keep_draft(shelf.database, name, code, base)
    tokens: Tokens = request.app.state.tokens
    tokens.forget(session_of(request), request.headers.get(HEADER) or request.query_params.get("token", ""))
    response = JSONResponse({"version": at.isoformat()})
    if not request.query_params.get("token"):
        response.headers[HEADER] = fresh(request)
    remember(request, response)
    return response


def _typed(shelf: Shelf, name: str, form: dict[str, str]) -> "Practice":
    """The tables, after what stands in the editor was kept: it may not have been sent yet."""
    practice = practising.practice(shelf.database)
    if "code" in form:
        _keep_typed(practice, name, _code(form))
    return practice


def _keep_typed(practice: "Practice", name: str, code: str) -> None:
    """A form holds what was typed on top of what its page showed."""
    kept = practice.draft(name)
    practice.save_draft(name, code, base=kept["at"] if kept else None)


@router.post("/exercise/{name}/over")
def start_over(request: Request, name: str, form: Form) -> Response:
    """The starter into the editor; what stood there can be brought back."""
    shelf = shelf_of(request)
    exercise = find(shelf, name)
    practice = _typed(shelf, name, form)
    practice.save_draft(name, exercise.starter, replace=True)
    return RedirectResponse(f"/exercise/{name}#code-title", 303)


@router.post("/exercise/{name}/undo")
def undo(request: Request, name: str, form: Form) -> Response:
    """What stood in the editor before it was started over, or an attempt restored."""
    shelf = shelf_of(request)
    find(shelf, name)
    _typed(shelf, name, form).undo_draft(name)
    return RedirectResponse(f"/exercise/{name}#code-title", 303)


# Hints, the solution, and doing it again


def _changed(request: Request, shelf: Shelf, exercise: Exercise, place: str) -> Response:
    if wants(request) != "fragment":
        return RedirectResponse(f"/exercise/{exercise.name}#{place}", 303)
    values = {"run": None, "input_run": None, **_standing_parts(shelf, exercise)}
    return show(request, "fragments/exercise_parts.html", values)


@router.post("/exercise/{name}/hint")
def hint(request: Request, name: str, form: Form) -> Response:
    """Open the next hint. Without a database none could be counted, and the solution would never show."""
    shelf = shelf_of(request)
    exercise = find(shelf, name)
    number = form.get("number", "")
    if number not in [str(n + 1) for n in range(len(exercise.hints))]:
        raise HandbookError(f"Expected a hint from 1 to {len(exercise.hints)}, got {number[:20]!r}.")
    practising.open_hint(practising.practice(shelf.database), name, int(number))
    return _changed(request, shelf, exercise, f"hint-{number}")


@router.post("/exercise/{name}/give-up")
def give_up(request: Request, name: str, form: Form) -> Response:
    shelf = shelf_of(request)
    exercise = find(shelf, name)
    practising.give_up(practising.practice(shelf.database), name)
    return _changed(request, shelf, exercise, "solution")


@router.post("/exercise/{name}/again")
def again(request: Request, name: str, form: Form) -> Response:
    """A new round."""
    shelf = shelf_of(request)
    exercise = find(shelf, name)
    practising.begin_again(_typed(shelf, name, form), name, exercise.starter)
    return RedirectResponse(f"/exercise/{name}", 303)
