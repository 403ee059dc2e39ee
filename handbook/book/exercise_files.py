"""Coding exercises as data: exercise.toml, statement, starter, solution, tests and commentary."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from handbook.book import symbols, tables
from handbook.book.claims import ID
from handbook.book.faults import Faults
from handbook.book.nouns import Exercise, GrowthPlan
from handbook.book.questions import LEVELS
from handbook.records import Level

FILES = ("statement.md", "starter.py", "solution.py", "tests.py", "hidden.py")
REQUIRED = {"title": str, "level": str, "minutes": int, "entry": str, "hints": list, "anchor": str}
OPTIONAL = {
    "solution": str,
    "pattern": str,
    "imports": list,
    "seconds": float,
    "memory": int,
    "growth": dict,
}
HINTS = 3
PATTERNS = (
    "hash maps",
    "two pointers",
    "sliding window",
    "heaps",
    "intervals",
    "binary search",
    "graphs",
    "dynamic programming",
    "arrays",
    "numerics",
    "classic models",
    "metrics",
    "sampling and streams",
    "neural networks",
    "attention",
    "text",
    "systems",
    "repair",
)
GROWTHS = ("1", "log n", "n", "n log n", "n^2", "n^3", "2^n")
SECONDS = 60.0  # the most that an exercise may ask for
MEMORY = 8192  # MiB
WORDS = range(120, 251)  # of a commentary
MAKERS = ("growth_input", "growth_driver")  # in hidden.py: what makes an input of a size, or does the work


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


def _growth(growth: dict[str, Any], hidden: Path) -> str:
    """What is wrong with [growth]; empty where nothing is."""
    if unknown := [key for key in growth if key not in ("expect", "sizes")]:
        return f"growth has the unknown key {unknown[0]}."
    if growth.get("expect") not in GROWTHS:
        return f"growth.expect is {growth.get('expect')!r}; expected one of {', '.join(GROWTHS)}."
    sizes = growth.get("sizes", [])
    if not isinstance(sizes, list) or not all(type(size) is int and size > 0 for size in sizes):
        return f"growth.sizes should be integers above 0, got {sizes!r}."
    if sizes and (len(sizes) < 4 or sizes != sorted(set(sizes))):
        return f"growth.sizes should be four or more, rising, got {sizes}."
    if hidden.is_file():
        try:
            made = [maker for maker in MAKERS if symbols.defines(hidden, maker)]
        except SyntaxError:
            return ""  # said already
        if len(made) != 1:
            return f"growth wants exactly one of {' and '.join(MAKERS)} in hidden.py, got {len(made)}."
    return ""


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
    if "pattern" in table and table["pattern"] not in PATTERNS:
        fault("bad-choice", "pattern", f"pattern is {table['pattern']!r}.", f"One of: {', '.join(PATTERNS)}.")
    if not all(isinstance(name, str) and name.isidentifier() for name in table.get("imports", [])):
        fault("bad-value", "imports", f"imports should be names of modules, got {table['imports']}.")
    if not 0 < table.get("seconds", 1) <= SECONDS:
        fault("bad-value", "seconds", f"seconds should be in 0 to {SECONDS:g}, got {table['seconds']}.")
    if not 0 < table.get("memory", 1) <= MEMORY:
        fault("bad-value", "memory", f"memory should be 1 to {MEMORY} MiB, got {table['memory']}.")
    if "growth" in table and (what := _growth(table["growth"], file.with_name("hidden.py"))):
        fault("bad-growth", "expect", what)
    return good


def _commentary(file: Path, faults: Faults) -> str | None:
    """Its text, empty where there is none yet; None and a fault where it is too short or too long."""
    if not file.is_file():
        return ""
    text = faults.read(file)
    if text is not None and (count := len(text.split())) not in WORDS:
        what = f"Exercise {file.parent.name}: a commentary has {WORDS[0]} to {WORDS[-1]} words, got {count}."
        faults.add("bad-commentary", file, 1, what)
        return None
    return text


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
    commentary = _commentary(folder / "commentary.md", faults)
    if not good or commentary is None or None in texts.values():
        return None
    growth = table.get("growth")
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
        pattern=table.get("pattern", ""),
        imports=tuple(table.get("imports", ("numpy", "torch"))),
        seconds=float(table.get("seconds", 10.0)),
        memory=table.get("memory", 1024),
        growth=GrowthPlan(growth["expect"], tuple(growth.get("sizes", ()))) if growth else None,
        commentary=commentary,
    )
    return LocatedExercise(exercise, tables.key_line(text, "anchor"))


def load_exercises(folder: Path, chapter: str, faults: Faults) -> tuple[LocatedExercise, ...]:
    """Every exercise of a chapter, in name order. Faulty ones are left out and reported."""
    if not folder.is_dir():
        return ()
    entries = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))
    return tuple(found for entry in entries if (found := _exercise(entry, chapter, faults)))
