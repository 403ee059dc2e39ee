"""Where a link leads, and whether what it names exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from handbook.book import symbols
from handbook.book.claims import Claim
from handbook.book.markdown import SCHEMES
from handbook.book.nouns import Chapter, Exercise
from handbook.book.references import Reference
from handbook.model.zoo.entries import MOST, address, entries
from handbook.records import Question


class Names(Protocol):
    """Everything that a link can name: an Index while the book is read, a Book afterwards."""

    @property
    def chapters(self) -> Mapping[str, Chapter]: ...
    @property
    def references(self) -> Mapping[str, Reference]: ...
    @property
    def questions(self) -> Mapping[str, Question]: ...
    @property
    def exercises(self) -> Mapping[str, Exercise]: ...
    @property
    def claims(self) -> Mapping[str, Claim]: ...
    @property
    def package(self) -> str: ...


@dataclass(frozen=True)
class Index:
    """The names of a book that is being read."""

    chapters: Mapping[str, Chapter]
    references: Mapping[str, Reference]
    questions: Mapping[str, Question]
    exercises: Mapping[str, Exercise]
    claims: Mapping[str, Claim]
    package: str


def href(index: Names, chapter: Chapter, scheme: str, target: str) -> str | None:
    """The URL of a link, None where it is unknown or not safe to follow.

    Claims and citations lead to their note on the same page; figures and included code have no URL.
    """
    if scheme == "web":
        return target
    if scheme == "anchor":
        return f"#{target}" if target in chapter.anchors else None
    if scheme == "cite":
        return f"#note-cite-{target}" if target in index.references else None
    if scheme == "claim":
        return f"#note-claim-{target}" if target in index.claims else None
    if scheme == "code":
        module, _, name = target.partition(":")
        return f"/code/{module}#{name}" if name else f"/code/{module}"
    if scheme == "lab":
        return f"{chapter.url}/lab" + (f"#{target}" if target else "")
    if scheme == "zoo":
        return None if _missing_models(target) else address(_models(target))
    if scheme == "question" and target in index.questions:
        return f"/book/{index.questions[target].chapter}/questions#{target}"
    if scheme == "exercise" and target in index.exercises:
        return f"/exercise/{target}"
    if scheme == "chapter":
        slug, _, anchor = target.partition("#")
        found = index.chapters.get(slug)
        return (found.url + (f"#{anchor}" if anchor else "")) if found else None
    return None


def _models(target: str) -> list[str]:
    return target.split(",") if target else []


def _missing_models(target: str) -> tuple[str, str, str] | None:
    if unknown := [name for name in _models(target) if name not in entries()]:
        what = f"The zoo has no model {', '.join(map(repr, unknown))}."
        return "dangling-link", what, f"`handbook zoo` lists them: {', '.join(entries())}."
    if len(_models(target)) > MOST:
        return "dangling-link", f"The zoo compares {MOST} models at most.", "Name fewer."
    return None


def _missing_symbol(index: Names, target: str) -> tuple[str, str, str] | None:
    if target.split(":")[0].split(".")[0] != index.package:
        return (
            "unknown-symbol",
            f"{target} is not code of {index.package}.",
            f"Write {index.package}.module:name.",
        )
    try:
        symbols.source(target)
    except symbols.UnknownSymbol as error:
        return "unknown-symbol", f"The symbol {target} is unknown. {error.what}", error.remedy
    return None


def _missing_chapter(index: Names, target: str) -> tuple[str, str, str] | None:
    slug, _, anchor = target.partition("#")
    found = index.chapters.get(slug)
    if found is None:
        return "dangling-link", f"There is no chapter {slug}.", "Chapters stand in book.toml."
    if anchor and anchor not in found.anchors:
        return "dangling-link", f"The chapter {slug} has no paragraph or section {anchor}.", ""
    return None


def problem(index: Names, chapter: Chapter, scheme: str, target: str) -> tuple[str, str, str] | None:
    """(kind, what, remedy) of a link that leads nowhere; None where it is good."""
    if scheme == "web":
        return None
    if scheme == "anchor":
        known: Mapping[str, object] | frozenset[str] = chapter.anchors
        what, remedy = (
            f"This chapter has no paragraph or section {target}.",
            "Put {#" + target + "} above one.",
        )
    elif scheme == "cite":
        known, what, remedy = (
            index.references,
            f"No source {target} in references.bib.",
            "Add it, or correct the key.",
        )
    elif scheme == "claim":
        known, what, remedy = index.claims, f"There is no claim {target}.", "Add it to claims.toml."
    elif scheme == "question":
        known, what, remedy = index.questions, f"There is no question {target}.", "Add it to questions.yaml."
    elif scheme == "exercise":
        known, what, remedy = (
            index.exercises,
            f"There is no exercise {target}.",
            "Exercises are folders of exercises/.",
        )
    elif scheme == "figure":
        known, what = chapter.figures, f"There is no figures/{target}.svg."
        remedy = f"Write {target.replace('-', '_')}() in figures.py, then handbook book draw."
    elif scheme == "zoo":
        return _missing_models(target)
    elif scheme in ("code", "include"):
        return _missing_symbol(index, target)
    elif scheme == "chapter":
        return _missing_chapter(index, target)
    elif scheme == "lab":
        if chapter.lab is None:
            return "dangling-link", "This chapter has no lab.py.", "Write it, or remove the link."
        known = chapter.lab_sections | {""}
        what, remedy = (
            f"The lab has no cell, function or heading {target}.",
            "Name a cell so, or correct the link.",
        )
    else:
        shown = f"{scheme}:{target}" if scheme else target
        return (
            "unknown-scheme",
            f"The link {shown!r} leads nowhere.",
            f"Known: {', '.join(SCHEMES)}, https, #anchor.",
        )
    return None if target in known else ("dangling-link", what, remedy)
