"""What can only be seen with the whole book at hand: links, sources, ids across chapters, code both ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from handbook.book import draw, fill, markdown, symbols
from handbook.book.blocks import links_of, suspects
from handbook.book.chapter import LocatedChapter
from handbook.book.faults import Faults
from handbook.book.links import Index, problem
from handbook.book.nouns import Chapter, Link

LinkAt = tuple[Path, Link]


def fragments(located: LocatedChapter) -> Iterator[tuple[Path, str, int, str]]:
    """(file, Markdown, first line, address) of each text outside of the page: questions, statements."""
    folder = located.chapter.folder
    questions = folder / "questions.yaml"
    for entry in located.questions:
        for text, line in entry.texts:
            yield questions, text, line, f"question:{entry.question.id}"
    for found in located.exercises:
        exercise = found.exercise
        yield exercise.file("statement.md"), exercise.statement, 1, f"exercise:{exercise.name}"


def all_links(located: LocatedChapter, faults: Faults) -> Iterator[LinkAt]:
    """Each link of a chapter, its questions and statements; looks for stray markup in the last two."""
    chapter = located.chapter
    if chapter.source:
        yield from ((chapter.source, link) for link in chapter.links)
    for file, text, line, address in fragments(located):
        if not any(mark in text for mark in "[<\\:{"):
            continue
        parsed = markdown.parse(text)

        def report(kind: str, at: int, what: str, remedy: str, file: Path = file) -> None:
            faults.add(kind, file, at, what, remedy)

        suspects(parsed.tokens, report, line - 1)
        yield from ((file, link) for link in links_of(parsed.tokens, address, line - 1))


def check_links(index: Index, chapter: Chapter, links: Iterable[LinkAt], faults: Faults) -> None:
    for file, link in links:
        if found := problem(index, chapter, link.scheme, link.target):
            faults.add(found[0], file, link.line, found[1], found[2])
        elif (
            link.scheme == "claim"
            and (shown := index.claims[link.target].shown) is not None
            and shown != link.text
        ):
            what = f"The prose says {link.text!r} for claim {link.target}, and {shown!r} is recorded."
            faults.add("stale-claim", file, link.line, what, "handbook book fill")
        elif link.scheme == "include" and fill.body(link.target) != link.text.rstrip("\n"):
            faults.add(
                "stale-code", file, link.line, f"The code of {link.target} has changed.", "handbook book fill"
            )


def check_anchors(located: LocatedChapter, faults: Faults) -> None:
    """Questions and exercises point to a paragraph of their chapter."""
    chapter = located.chapter
    for entry in located.questions:
        if entry.question.anchor not in chapter.anchors:
            what = f"Question {entry.question.id} is answered by {entry.question.anchor}, which is missing."
            remedy = "Name the paragraph that answers it."
            faults.add("dangling-anchor", chapter.folder / "questions.yaml", entry.anchor_line, what, remedy)
    for found in located.exercises:
        exercise = found.exercise
        if exercise.anchor not in chapter.anchors:
            what = f"Exercise {exercise.name} belongs to {exercise.anchor}, which the chapter lacks."
            file = exercise.file("exercise.toml")
            faults.add(
                "dangling-anchor", file, found.anchor_line, what, "Name the paragraph that teaches it."
            )


def check_sources(index: Index, bib: Path, links: Iterable[LinkAt], faults: Faults) -> None:
    cited = {link.target for _, link in links if link.scheme == "cite"}
    for key, reference in index.references.items():
        if key not in cited:
            faults.add(
                "uncited-source", bib, reference.line, f"Nothing cites {key}.", "Cite it or remove it."
            )


def check_code(index: Index, chapters: Sequence[LocatedChapter], faults: Faults) -> None:
    """A chapter lists the modules whose docstring names it, and they name it."""
    listed = {
        (module, c.chapter.path): line for c in chapters for module, line in (c.code_lines or {}).items()
    }
    sources = {c.chapter.path: c.chapter.source for c in chapters}
    told: set[tuple[str, str]] = set()
    for module, file in symbols.modules(index.package):
        found = symbols.chapter_of(file)
        if found is None:
            continue
        path, line = found
        told.add((module, path))
        if path not in sources:
            what = f"{module} belongs to the chapter {path}, which book.toml does not have."
            faults.add("dangling-link", file, line, what, "Correct the last line of its docstring.")
        elif (module, path) not in listed:
            what = f"{module} says that it belongs to {path}, which does not list it under code:."
            faults.add("one-way-code", file, line, what, "List it there, or remove the line here.")
    for (module, path), line in listed.items():
        source = sources[path]
        assert source is not None
        if symbols.module_file(module) is None:
            faults.add("unknown-symbol", source, line, f"There is no module {module}.", "Correct `code:`.")
        elif (module, path) not in told:
            what = f"{module} is listed under code:, and its docstring does not end `Book: {path}`."
            faults.add("one-way-code", source, line, what, "Say so there, or remove it here.")


def check_figures(chapter: Chapter, faults: Faults) -> None:
    for name, what, kind, remedy in draw.problems(chapter):
        file = chapter.figures.get(name, chapter.folder / "figures.py")
        faults.add(kind, file, 1, what, remedy)
    used = {link.target for link in chapter.links if link.scheme == "figure"}
    for name, file in chapter.figures.items():
        if name not in used:
            faults.add(
                "unused-figure", file, 1, f"The chapter does not show {name}.", "Show it or remove it."
            )
    shown = {block.name for block in chapter.blocks if block.kind == "figure"}
    for link in chapter.links:
        if link.scheme == "figure" and link.target not in shown and chapter.source:
            what = f"The figure {link.target} stands inside text."
            faults.add(
                "bad-figure", chapter.source, link.line, what, "Give it a paragraph of its own, as an image."
            )
