"""An exercise: its statement, an editor, its tests, hints in three steps, and the solution for who asks."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from handbook.app.web.faults import wants
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.shelf import Shelf
from handbook.app.web.tokens import fields
from handbook.book.exercises import Report, judge
from handbook.book.nouns import Exercise
from handbook.errors import HandbookError

router = APIRouter()
LONGEST = 100_000  # characters of a submission


def find(shelf: Shelf, name: str) -> Exercise:
    exercise = shelf.book.exercises.get(name)
    if exercise is None:
        raise HTTPException(404)
    return exercise


def _solution(exercise: Exercise) -> tuple[str, str]:
    """Its text, and where it lives when it is our own code."""
    if exercise.solution:
        from handbook.book.symbols import source

        return source(exercise.solution).text, exercise.solution
    return exercise.file("solution.py").read_text(encoding="utf-8"), ""


def _page(request: Request, shelf: Shelf, exercise: Exercise, code: str, report: Report | None) -> Response:
    book = shelf.book
    chapter = book.chapter(exercise.chapter)
    assert chapter is not None, "the loader gives each exercise its chapter"
    solution, symbol = _solution(exercise)
    html = shelf.fragment(chapter, exercise.statement)
    hints = [shelf.fragment(chapter, hint) for hint in exercise.hints]
    return show(
        request,
        "exercise.html",
        {
            "book": book,
            "chapter": chapter,
            "exercise": exercise,
            "statement": html,
            "hints": hints,
            "code": code,
            "results": report.results if report else None,
            "broken": report.broken if report else "",
            "solution": solution,
            "symbol": symbol,
            "wrapper": exercise.file("solution.py").read_text(encoding="utf-8") if symbol else "",
            "math": 'class="math' in html + "".join(hints),
            "attempts": shelf.attempts(exercise.name, 5),
        },
    )


@router.get("/exercise/{name}")
def page(request: Request, name: str) -> Response:
    shelf = shelf_of(request)
    exercise = find(shelf, name)
    return _page(request, shelf, exercise, exercise.starter, None)


@router.post("/exercise/{name}")
def run(request: Request, name: str, form: Annotated[dict[str, str], Depends(fields)]) -> Response:
    """Run the shown and the hidden tests over what was submitted, and keep the attempt."""
    shelf = shelf_of(request)
    exercise = find(shelf, name)
    code = form.get("code", "").replace("\r\n", "\n")
    if len(code) > LONGEST:
        raise HandbookError(f"Expected at most {LONGEST} characters of code, got {len(code)}.", "Shorten it.")
    with tempfile.TemporaryDirectory(prefix="handbook-") as folder:
        submission = Path(folder) / "submission.py"
        submission.write_text(code, encoding="utf-8")
        report = judge(exercise, submission, hidden=True)
    rows = [asdict(each) for each in report.results]
    shelf.practised(
        lambda practice: practice.save_attempt(exercise.name, code, rows, solved=report.passed), 0
    )
    if wants(request) == "fragment":
        return show(request, "fragments/verdicts.html", {"results": report.results, "broken": report.broken})
    return _page(request, shelf, exercise, code, report)
