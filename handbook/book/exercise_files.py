"""Coding exercises as data: exercise.toml, statement, starter, solution and tests."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from handbook.book import symbols, tables
from handbook.book.claims import ID
from handbook.book.faults import Faults
from handbook.book.nouns import Exercise
from handbook.book.questions import LEVELS
from handbook.records import Level

FILES = ("statement.md", "starter.py", "solution.py", "tests.py", "hidden.py")
REQUIRED = {"title": str, "level": str, "minutes": int, "entry": str, "hints": list, "anchor": str}
OPTIONAL = {"solution": str}
HINTS = 3


@dataclass(frozen=True, slots=True)
class LocatedExercise:
    exercise: Exercise
    anchor_line: int


def tests_in(file: Path) -> list[tuple[str, int, int]]:
    """(name, line, number of arguments) of each test function. Raises SyntaxError."""
    _, tree = symbols.parse(file)
    return [
        (node.name, node.lineno, len(node.args.args) + len(node.args.posonlyargs))
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def _python(folder: Path, entry: str, faults: Faults) -> bool:
    good = True
    for name in ("starter.py", "solution.py", "tests.py", "hidden.py"):
        file = folder / name
        if not file.is_file():
            continue
        try:
            if name in ("starter.py", "solution.py"):
                if entry and not symbols.defines(file, entry):
                    faults.add(
                        "no-entry", file, 1, f"Exercise {folder.name}: this defines no {entry}.", "Define it."
                    )
                    good = False
                continue
            found = tests_in(file)
        except SyntaxError as error:
            faults.add("syntax", file, error.lineno or 1, f"This is not valid Python: {error.msg}.")
            good = False
            continue
        if not found:
            faults.add("no-tests", file, 1, f"Exercise {folder.name}: this holds no test_ function.")
            good = False
        for test, line, arguments in found:
            if arguments != 1:
                what = f"Exercise {folder.name}: {test} takes {arguments} arguments, expected the submission."
                faults.add("no-tests", file, line, what)
                good = False
    return good


def _values(table: dict[str, Any], file: Path, text: str, faults: Faults) -> bool:
    name, good = file.parent.name, True

    def fault(kind: str, key: str, what: str, remedy: str = "") -> None:
        nonlocal good
        good = False
        faults.add(kind, file, tables.key_line(text, key), f"Exercise {name}: {what}", remedy)

    if table["level"] not in LEVELS:
        fault("bad-choice", "level", f"level is {table['level']!r}.", f"One of: {', '.join(LEVELS)}.")
    if table["minutes"] < 1:
        fault("bad-value", "minutes", f"minutes should be above 0, got {table['minutes']}.")
    if not table["entry"].isidentifier():
        fault("bad-value", "entry", f"entry should be a Python name, got {table['entry']!r}.")
    hints = table["hints"]
    if len(hints) != HINTS or not all(isinstance(hint, str) and hint.strip() for hint in hints):
        fault(
            "bad-hints",
            "hints",
            f"expected exactly {HINTS} hints, got {len(hints)}.",
            "From a nudge to nearly all.",
        )
    if "solution" in table:
        try:
            symbols.source(table["solution"])
        except symbols.UnknownSymbol as error:
            fault("unknown-symbol", "solution", f"its solution is unknown. {error.what}", error.remedy)
    return good


def _exercise(folder: Path, chapter: str, faults: Faults) -> LocatedExercise | None:
    file, good = folder / "exercise.toml", True
    if not ID.fullmatch(folder.name):
        faults.add(
            "bad-id", file, 1, f"The exercise name {folder.name!r} is not lower-case words joined by hyphens."
        )
        good = False
    for name in ("exercise.toml", *FILES):
        if not (folder / name).is_file():
            faults.add(
                "missing-file", folder / name, 1, f"Exercise {folder.name} has no {name}.", "Write it."
            )
            good = False
    if not file.is_file():
        return None
    table, text = tables.read(file, faults)
    if not text or not table:
        return None
    subject = f"Exercise {folder.name}"
    if not tables.check(table, REQUIRED, OPTIONAL, file, 1, subject, faults):
        return None
    good = _values(table, file, text, faults) and good
    good = _python(folder, table["entry"], faults) and good
    texts = {name: faults.read(folder / name) for name in ("statement.md", "starter.py") if good}
    if not good or None in texts.values():
        return None
    exercise = Exercise(
        name=folder.name,
        chapter=chapter,
        title=table["title"],
        level=cast(Level, table["level"]),
        minutes=table["minutes"],
        entry=table["entry"],
        hints=tuple(table["hints"]),
        anchor=table["anchor"],
        statement=texts["statement.md"] or "",
        starter=texts["starter.py"] or "",
        folder=folder,
        solution=table.get("solution"),
    )
    return LocatedExercise(exercise, tables.key_line(text, "anchor"))


def load_exercises(folder: Path, chapter: str, faults: Faults) -> tuple[LocatedExercise, ...]:
    """Every exercise of a chapter, in name order. Faulty ones are left out and reported."""
    if not folder.is_dir():
        return ()
    entries = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))
    return tuple(found for entry in entries if (found := _exercise(entry, chapter, faults)))
