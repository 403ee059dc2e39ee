"""Reading the whole book. Faults in the content are collected, never raised."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from handbook.book import checks, kept, stamps, tables
from handbook.book.chapter import Entry, LocatedChapter
from handbook.book.claims import ID, Claim
from handbook.book.faults import Faults
from handbook.book.links import Index
from handbook.book.nouns import Backlink, Book, Chapter, Exercise, Link, Part, Step, StudyPath
from handbook.book.prerequisites import FILE, load_prerequisites
from handbook.book.references import load_references
from handbook.errors import BookError
from handbook.records import Question

T = TypeVar("T")
LINKED = ("cite", "claim", "code", "include", "question", "exercise", "chapter")
PART = {"slug": str, "title": str, "chapters": list}
CHAPTER = {"slug": str, "title": str, "summary": str}
PATH = {"id": str, "title": str, "steps": list}
STEP = {"title": str, "chapters": list}


def default_root() -> Path:
    """settings.book, else the clone's `book/`, else the book that came with the package."""
    from handbook.settings import load

    given = load().book
    if given is not None:
        return given.expanduser()
    package = Path(__file__).resolve().parent.parent
    clone = package.parent / "book"
    return clone if (clone / "book.toml").is_file() else package / "_book"


def open_book(root: Path | None = None, package: str = "handbook") -> Book:
    """Read the book at `root`. Raises BookError only where there is no book.toml at all.

    package: whose code `code:` links name and whose docstrings name chapters.
    """
    root = (root if root is not None else default_root()).absolute()
    toml = root / "book.toml"
    if not toml.is_file():
        raise BookError(
            f"There is no book at {root}: book.toml is missing.", "Correct the setting `book`, or unset it."
        )
    taken = stamps.take(root, package)  # before reading, so that an edit meanwhile counts as a change
    faults = Faults(root.parent)
    table, text = tables.read(toml, faults)
    tables.unknown(table, ("title", "part", "path"), toml, text, faults)
    parts = _parts(table, toml, text, faults)
    located = kept.chapters(root, [entry for _, _, entries in parts for entry in entries], taken, faults)
    references = load_references(root / "references.bib", faults)
    index = _index(located, references, package, faults)
    links = {c.chapter.slug: list(checks.all_links(c, faults)) for c in located}
    for one in located:
        checks.check_links(index, one.chapter, links[one.chapter.slug], faults)
        checks.check_anchors(one, faults)
        checks.check_figures(one.chapter, faults)
    everything = [link for found in links.values() for link in found]
    checks.check_sources(index, root / "references.bib", everything, faults)
    checks.check_code(index, located, faults)
    _unlisted(root, index, faults)
    prerequisites = load_prerequisites(root / FILE, index.chapters, faults)
    backlinks = _backlinks(index, {slug: [link for _, link in found] for slug, found in links.items()})
    chapters = {slug: replace(c, backlinks=_pointing(backlinks, c)) for slug, c in index.chapters.items()}
    return Book(
        root=root,
        title=str(table.get("title", "The handbook")),
        parts=tuple(
            Part(slug, title, tuple(chapters[e.slug] for e in entries)) for slug, title, entries in parts
        ),
        chapters=chapters,
        paths=_paths(table, toml, text, chapters, faults),
        references=references,
        questions=index.questions,
        exercises=index.exercises,
        claims=index.claims,
        faults=faults.sorted(),
        backlinks=backlinks,
        package=package,
        stamps=taken,
        prerequisites=prerequisites,
    )


def _tables(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _parts(
    table: Mapping[str, Any], toml: Path, text: str, faults: Faults
) -> list[tuple[str, str, list[Entry]]]:
    """(slug, title, chapters) of each part of book.toml; a chapter that is named twice counts once."""
    parts: list[tuple[str, str, list[Entry]]] = []
    seen: set[str] = set()
    lines = tables.array_lines(text, "part")
    for part, line in zip(_tables(table.get("part")), lines + [1] * 99, strict=False):
        if not tables.check(part, PART, {}, toml, line, f"Part {part.get('slug', '?')}", faults):
            continue
        entries = []
        for chapter in _tables(part["chapters"]):
            name = chapter.get("slug", "?")
            at = _slug_line(text, name, again=name in seen) or line
            if not tables.check(chapter, CHAPTER, {}, toml, at, f"Chapter {name}", faults):
                continue
            if not ID.fullmatch(name) or not ID.fullmatch(part["slug"]):
                faults.add(
                    "bad-id", toml, at, f"{part['slug']}/{name} is not lower-case words joined by hyphens."
                )
            elif name in seen:
                faults.add(
                    "duplicate-id", toml, at, f"The chapter {name} is listed again.", "Slugs are unique."
                )
            else:
                entries.append(Entry(part["slug"], name, chapter["title"], chapter["summary"]))
                seen.add(name)
        parts.append((part["slug"], part["title"], entries))
    return parts


def _slug_line(text: str, slug: str, again: bool) -> int:
    """Line of a chapter's entry; of its last one where the slug comes again; 0 where none is found."""
    pattern = re.compile(rf"slug\s*=\s*[\"']{re.escape(str(slug))}[\"']")
    found = [number for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]
    return (found[-1] if again else found[0]) if found else 0


def _paths(
    table: Mapping[str, Any], toml: Path, text: str, chapters: Mapping[str, Chapter], faults: Faults
) -> tuple[StudyPath, ...]:
    paths = []
    lines = tables.array_lines(text, "path")
    for path, line in zip(_tables(table.get("path")), lines + [1] * 99, strict=False):
        if not tables.check(path, PATH, {}, toml, line, f"Path {path.get('id', '?')}", faults):
            continue
        steps = []
        for step in _tables(path["steps"]):
            if not tables.check(step, STEP, {}, toml, line, f"A step of path {path['id']}", faults):
                continue
            for slug in step["chapters"]:
                if slug not in chapters:
                    what = f"The path {path['id']} leads to {slug}, which is no chapter."
                    faults.add("dangling-link", toml, line, what, "Correct it.")
            steps.append(Step(step["title"], tuple(chapters[s] for s in step["chapters"] if s in chapters)))
        paths.append(StudyPath(path["id"], path["title"], tuple(steps)))
    return tuple(paths)


def _unique(what: str, items: Iterable[tuple[str, T, Path, int]], faults: Faults) -> dict[str, T]:
    found: dict[str, T] = {}
    where: dict[str, str] = {}
    for id, item, file, line in items:
        if id in found:
            faults.add(
                "duplicate-id", file, line, f"The {what} {id} exists already, in {where[id]}.", "Rename one."
            )
        else:
            found[id], where[id] = item, faults.name(file)
    return found


def _index(
    located: Sequence[LocatedChapter], references: Mapping[str, Any], package: str, faults: Faults
) -> Index:
    claims: list[tuple[str, Claim, Path, int]] = []
    questions: list[tuple[str, Question, Path, int]] = []
    exercises: list[tuple[str, Exercise, Path, int]] = []
    for one in located:
        folder = one.chapter.folder
        claims += [(c.id, c, folder / "claims.toml", c.line) for c in one.chapter.claims]
        questions += [(q.question.id, q.question, folder / "questions.yaml", q.line) for q in one.questions]
        exercises += [
            (e.exercise.name, e.exercise, e.exercise.file("exercise.toml"), 1) for e in one.exercises
        ]
    return Index(
        chapters={one.chapter.slug: one.chapter for one in located},
        references=references,
        questions=_unique("question", questions, faults),
        exercises=_unique("exercise", exercises, faults),
        claims=_unique("claim", claims, faults),
        package=package,
    )


def _unlisted(root: Path, index: Index, faults: Faults) -> None:
    known = {chapter.source for chapter in index.chapters.values()}
    for file in sorted(root.glob("*/*.md")):
        if file not in known:
            faults.add(
                "unlisted-chapter", file, 1, "book.toml does not list this chapter.", "List it, or remove it."
            )


def _place(index: Index, chapter: Chapter, anchor: str) -> Backlink:
    """Where a link stands, to click on. anchor: a paragraph, or `question:id`, `exercise:name`."""
    scheme, _, name = anchor.partition(":")
    if name and scheme == "question":
        question = index.questions[name]
        return Backlink(chapter.path, name, question.prompt, f"{chapter.url}/questions#{name}")
    if name:
        return Backlink(chapter.path, name, index.exercises[name].title, f"/exercise/{name}")
    paragraph = chapter.paragraph(anchor)
    section = chapter.section(paragraph.section if paragraph else anchor)
    title = f"{chapter.title}: {section.title}" if section else chapter.title
    return Backlink(chapter.path, anchor, title, f"{chapter.url}#{anchor}" if anchor else chapter.url)


def _backlinks(index: Index, links: Mapping[str, Sequence[Link]]) -> dict[str, tuple[Backlink, ...]]:
    found: dict[str, dict[Backlink, None]] = defaultdict(dict)
    for slug, chapter in index.chapters.items():
        for link in links[slug]:
            if link.scheme in LINKED:
                scheme = "code" if link.scheme == "include" else link.scheme
                found[f"{scheme}:{link.target}"][_place(index, chapter, link.anchor)] = None
            elif link.scheme == "anchor":
                found[f"chapter:{slug}#{link.target}"][_place(index, chapter, link.anchor)] = None
        for question in chapter.questions:
            if question.id in index.questions:
                found[f"chapter:{slug}#{question.anchor}"][
                    _place(index, chapter, f"question:{question.id}")
                ] = None
        for exercise in chapter.exercises:
            place = _place(index, chapter, f"exercise:{exercise.name}")
            found[f"chapter:{slug}#{exercise.anchor}"][place] = None
            if exercise.solution:
                found[f"code:{exercise.solution}"][place] = None
    return {target: tuple(places) for target, places in found.items()}


def _pointing(backlinks: Mapping[str, tuple[Backlink, ...]], chapter: Chapter) -> tuple[Backlink, ...]:
    """Places in other chapters that point to this one, or to a paragraph of it."""
    own = f"chapter:{chapter.slug}"
    places = (
        p
        for target, found in backlinks.items()
        if target == own or target.startswith(f"{own}#")
        for p in found
    )
    return tuple(dict.fromkeys(place for place in places if place.chapter != chapter.path))
