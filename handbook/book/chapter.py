"""One chapter: its Markdown, and what lies in its folder."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from handbook.book import blocks, markdown, symbols, yaml_nodes
from handbook.book.claims import load_claims
from handbook.book.exercise_files import LocatedExercise, load_exercises
from handbook.book.faults import Faults
from handbook.book.fields import Fields
from handbook.book.nouns import Chapter, Status
from handbook.book.questions import Located, load_questions

STATUSES: tuple[str, ...] = ("written", "outline")
_HEADING = re.compile(r"^\s*#{1,4}\s+(.+?)\s*$", re.MULTILINE)
_UNSLUG = re.compile(r"[^a-z0-9]+")
MEASURING = "handbook.lab"  # labs may import what measures their claims from here


@dataclass(frozen=True, slots=True)
class Entry:
    """What book.toml says about a chapter."""

    part: str
    slug: str
    title: str
    summary: str


@dataclass(frozen=True, slots=True)
class LocatedChapter:
    """A chapter, with where its questions, exercises, `code:` entries and front matter stand."""

    chapter: Chapter
    questions: tuple[Located, ...] = ()
    exercises: tuple[LocatedExercise, ...] = ()
    code_lines: dict[str, int] | None = None


def _imported(node: ast.ImportFrom, file: Path, faults: Faults) -> Iterator[str]:
    """Functions that a lab imports by name from `MEASURING`; a fault for each name that is not there."""
    module = node.module or ""
    if node.level or not f"{module}.".startswith(f"{MEASURING}."):
        return
    for name in node.names:
        if symbols.module_file(f"{module}.{name.name}"):
            continue  # a module, such as kit
        try:
            if symbols.source(f"{module}:{name.name}").kind == "function":
                yield name.asname or name.name
        except symbols.UnknownSymbol as error:
            faults.add("unknown-symbol", file, name.lineno, error.what, error.remedy)


def lab_sections(file: Path, faults: Faults) -> tuple[frozenset[str], frozenset[str]]:
    """Functions of a lab that can measure; names that `lab:` may point to: cells, functions, headings.

    Measuring functions are written in the lab or imported from `MEASURING`, which is read and not run.
    """
    try:
        text, tree = symbols.parse(file)
    except SyntaxError as error:
        faults.add("syntax", file, error.lineno or 1, f"This is not valid Python: {error.msg}.")
        return frozenset(), frozenset()
    functions: set[str] = set()
    cells: set[str] = set()
    body = [child for node in tree.body for child in (node.body if isinstance(node, ast.With) else [node])]
    for node in body:
        if isinstance(node, ast.FunctionDef):
            cell = any("cell" in ast.dump(decorator) for decorator in node.decorator_list)
            (cells if cell else functions).add(node.name)
        elif isinstance(node, ast.ImportFrom):
            functions.update(_imported(node, file, faults))
    headings = {_UNSLUG.sub("-", found.lower()).strip("-") for found in _HEADING.findall(text)}
    return frozenset(functions), frozenset(name for name in functions | cells | headings if name != "_")


def _front_matter(
    page: markdown.Parsed, file: Path, entry: Entry, faults: Faults
) -> tuple[str, str, Status, dict[str, int]]:
    """Title, summary, status, lines of `code:`; what book.toml says where the front matter does not."""
    fallback: tuple[str, str, Status, dict[str, int]] = (entry.title, entry.summary, "outline", {})
    token = page.tokens[0] if page.tokens and page.tokens[0].type == "front_matter" else None
    if token is None:
        faults.add(
            "missing-key",
            file,
            1,
            "This chapter has no front matter.",
            "Start with ---, title, status, summary.",
        )
        return fallback
    try:
        value = yaml_nodes.load(token.content, shift=1)
    except yaml_nodes.YamlFault as error:
        faults.add("syntax", file, error.line, f"The front matter is not valid YAML: {error}.")
        return fallback
    if value is None:
        faults.add("missing-key", file, 1, "The front matter is empty.", "Give title, status and summary.")
        return fallback
    fields = Fields(value, file, "The front matter", faults)
    if not fields.known("title", "status", "summary", "code"):
        return fallback
    title, summary = fields.text("title"), fields.text("summary")
    status = fields.choice("status", STATUSES)
    if title and title != entry.title:
        what = f"The title is {title!r} here and {entry.title!r} in book.toml."
        faults.add("title-mismatch", file, fields.line("title"), what, "Make them the same.")
    code = {item.scalar: item.line for item in fields.many("code") if item.scalar}
    return title or entry.title, summary or entry.summary, cast(Status, status or "outline"), code


def load_chapter(root: Path, entry: Entry, faults: Faults) -> LocatedChapter:
    """Read a chapter. Where book.toml names one that has no file, it is one that is not written yet."""
    file, folder = root / entry.part / f"{entry.slug}.md", root / entry.part / entry.slug
    empty = Chapter(entry.part, entry.slug, entry.title, "outline", entry.summary, None, folder)
    text = faults.read(file) if file.exists() else None
    if text is None:
        return LocatedChapter(empty)
    parsed = markdown.parse(text)
    title, summary, status, code = _front_matter(parsed, file, entry, faults)
    page = blocks.read(
        parsed, text, lambda kind, line, what, remedy: faults.add(kind, file, line, what, remedy)
    )
    chapter = replace(
        empty,
        title=title,
        summary=summary,
        status=status,
        source=file,
        text=text,
        sections=tuple(page.sections),
        paragraphs=tuple(page.paragraphs),
        anchors=page.anchors,
        blocks=tuple(page.blocks),
        links=tuple(page.links),
        words=page.words,
        code=tuple(code),
        figures={svg.stem: svg for svg in sorted(folder.glob("figures/*.svg"))},
    )
    return _with_folder(chapter, code, faults)


def _with_folder(chapter: Chapter, code: dict[str, int], faults: Faults) -> LocatedChapter:
    folder, path = chapter.folder, chapter.path
    lab = folder / "lab.py"
    functions, sections = lab_sections(lab, faults) if lab.is_file() else (frozenset[str](), frozenset[str]())
    claims_file, questions_file = folder / "claims.toml", folder / "questions.yaml"
    claims = load_claims(claims_file, path, faults) if claims_file.is_file() else ()
    for claim in claims:
        if claim.lab not in functions:
            what = (
                f"Claim {claim.id} is measured by {claim.lab}, which lab.py does not define at its top level."
            )
            remedy = f"Write it with @app.function, or import it in app.setup from {MEASURING}."
            faults.add("no-lab-function", claims_file, claim.line, what, remedy)
    questions = load_questions(questions_file, path, faults) if questions_file.is_file() else ()
    exercises = load_exercises(folder / "exercises", path, faults)
    order = {anchor: position for position, anchor in enumerate(chapter.anchors)}
    exercises = tuple(sorted(exercises, key=lambda e: order.get(e.exercise.anchor, len(order))))
    chapter = replace(
        chapter,
        claims=claims,
        questions=tuple(q.question for q in questions),
        exercises=tuple(e.exercise for e in exercises),
        lab=lab if lab.is_file() else None,
        lab_sections=sections,
    )
    return LocatedChapter(chapter, questions, exercises, code)
