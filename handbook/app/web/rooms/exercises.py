"""All exercises: by chapter, pattern, level, state and due date. Filters are plain links and a form."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from handbook.app.web import practising
from handbook.app.web.pages import shelf_of, show
from handbook.app.web.shelf import Shelf
from handbook.book.nouns import Exercise
from handbook.practice import due

router = APIRouter()
LEVELS = ("foundation", "senior", "lead")
STANDINGS: tuple[practising.Standing, ...] = ("new", "tried", "solved", "gave up")
SORTS = ("chapter", "pattern", "level", "due", "minutes")


@dataclass(frozen=True, slots=True)
class Row:
    """An exercise in the list. last: (passed, total) of the last attempt; when: due, in words."""

    exercise: Exercise
    chapter: str
    title: str
    standing: practising.Standing
    last: tuple[int, int] | None
    due: datetime | None
    due_now: bool
    when: str


def listed(shelf: Shelf) -> list[Row]:
    """Every exercise, in the book's order, with how the reader stands with it."""
    states = shelf.practised(lambda practice: practice.states(), dict[str, dict[str, Any]]())
    last = shelf.practised(lambda practice: practice.newest(), dict[str, tuple[int, int]]())
    solved, at = shelf.solved(), practising.now()
    rows = []
    for chapter in shelf.book.chapters.values():
        for exercise in chapter.exercises:
            state = states.get(exercise.name)
            when = state["due"] if state else None
            standing = practising.standing(state, exercise.name in last, exercise.name in solved)
            words = due.in_words(when, at) if when else ""
            rows.append(
                Row(
                    exercise,
                    chapter.slug,
                    chapter.title,
                    standing,
                    last.get(exercise.name),
                    when,
                    due.is_due(when, at),
                    words,
                )
            )
    return rows


ORDERS: dict[str, Callable[[Row], Any]] = {
    "pattern": lambda row: (not row.exercise.pattern, row.exercise.pattern),
    "level": lambda row: LEVELS.index(row.exercise.level) if row.exercise.level in LEVELS else len(LEVELS),
    "due": lambda row: (row.due is None, row.due),
    "minutes": lambda row: row.exercise.minutes,
}


@router.get("/exercises")
def exercises(
    request: Request,
    chapter: str = "",
    pattern: str = "",
    level: str = "",
    state: str = "",
    sort: str = "chapter",
) -> Response:
    """state: one of STANDINGS, or `due`."""
    shelf = shelf_of(request)
    rows = listed(shelf)
    chosen = [
        row
        for row in rows
        if chapter in ("", row.chapter)
        and pattern in ("", row.exercise.pattern)
        and level in ("", row.exercise.level)
        and (row.due_now if state == "due" else state in ("", row.standing))
    ]
    if sort in ORDERS:
        chosen.sort(key=ORDERS[sort])
    names = dict.fromkeys((row.chapter, row.title) for row in rows)
    patterns = sorted({row.exercise.pattern for row in rows if row.exercise.pattern})
    return show(
        request,
        "exercises.html",
        {
            "book": shelf.book,
            "rows": chosen,
            "total": len(rows),
            "due_count": sum(row.due_now for row in rows),
            "solved_count": sum(row.standing == "solved" for row in rows),
            "chapters": list(names),
            "patterns": patterns,
            "levels": LEVELS,
            "standings": STANDINGS,
            "sorts": SORTS,
            "asked_for": {
                "chapter": chapter,
                "pattern": pattern,
                "level": level,
                "state": state,
                "sort": sort,
            },
            "filtered": any((chapter, pattern, level, state)),
        },
    )
