"""What to understand before what, from prerequisites.toml: read, and checked for names and circles.

A node is a chapter (`slug`) or a section (`slug#section`). A chapter rests on its sections, each of its
sections on the chapters that the chapter rests on, a subsection on its section; so circles between the kinds
are found as well. A book without the file has no edges, and that is no fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from handbook.book import tables
from handbook.book.faults import Faults
from handbook.book.nouns import Chapter

FILE = "prerequisites.toml"
Needs = Mapping[str, tuple[str, ...]]
REMEDY = "Correct the name, or remove it."


def load_prerequisites(file: Path, chapters: Mapping[str, Chapter], faults: Faults) -> Needs:
    """Node -> nodes that it rests on directly. Names that are unknown, and edges that close a circle, are
    reported and left out, so that what is returned has no circle."""
    if not file.is_file():
        return MappingProxyType({})
    table, text = tables.read(file, faults)
    tables.unknown(table, ("chapters", "sections"), file, text, faults)
    found: dict[str, tuple[str, ...]] = {}
    for node, others, line in _entries(table, file, text, faults):
        known = _known(node, others, chapters, file, line, faults)
        if known:
            found[node] = known
    return MappingProxyType(_without_circles(found, chapters, file, text, faults))


def _entries(
    table: Mapping[str, Any], file: Path, text: str, faults: Faults
) -> Iterator[tuple[str, list[str], int]]:
    """(node, nodes it names, line); a bare section name stands for one of the same chapter."""

    def listed(value: Any, what: str, line: int) -> bool:
        good = isinstance(value, list) and all(isinstance(each, str) for each in value)
        if not good:
            faults.add("bad-value", file, line, f"{what}: expected a list of names, got {value!r}.")
        return good

    places: list[tuple[str, Any]] = [("", table.get("chapters", {}))]
    sections = table.get("sections", {})
    if isinstance(sections, dict):
        places += list(sections.items())
    else:
        faults.add("bad-value", file, tables.key_line(text, "sections"), "sections: expected tables.")
    for slug, entries in places:
        header = _header_line(text, f"sections.{slug}" if slug else "chapters")
        if not isinstance(entries, dict):
            faults.add("bad-value", file, header, f"{slug or 'chapters'}: expected a table.")
            continue
        for name, value in entries.items():
            line = tables.key_line(text, name, header)
            if not listed(value, name, line):
                continue
            others = [v if not slug or "#" in v else f"{slug}#{v}" for v in value]
            yield (f"{slug}#{name}" if slug else name), others, line


def _header_line(text: str, name: str) -> int:
    lines = text.splitlines()
    return next((i for i, line in enumerate(lines, 1) if line.strip() == f"[{name}]"), 1)


def _known(
    node: str, others: list[str], chapters: Mapping[str, Chapter], file: Path, line: int, faults: Faults
) -> tuple[str, ...]:
    """Those of `others` that exist; a fault for each that does not, is named twice or is the node itself."""
    if (missing := _missing(node, chapters)) is not None:
        faults.add("dangling-link", file, line, missing, REMEDY)
        return ()
    kept: list[str] = []
    for other in others:
        if (missing := _missing(other, chapters)) is not None:
            faults.add("dangling-link", file, line, f"{node} rests on {other}. {missing}", REMEDY)
        elif other in kept:
            faults.add("duplicate-id", file, line, f"{node} rests on {other} twice.", "Name it once.")
        elif ("#" in node) != ("#" in other):
            what = f"{node} rests on {other}: a chapter rests on chapters, a section on sections."
            faults.add("bad-value", file, line, what, "Name one of its kind.")
        else:
            kept.append(other)
    return tuple(kept)


def _missing(node: str, chapters: Mapping[str, Chapter]) -> str | None:
    slug, _, section = node.partition("#")
    chapter = chapters.get(slug)
    if chapter is None:
        return f"There is no chapter {slug}."
    if section and chapter.section(section) is None:
        return f"The chapter {slug} has no section {section}."
    return None


def _without_circles(
    needs: Mapping[str, tuple[str, ...]],
    chapters: Mapping[str, Chapter],
    file: Path,
    text: str,
    faults: Faults,
) -> dict[str, tuple[str, ...]]:
    """The edges, but for those that close a circle (each reported with the circle)."""
    kept: dict[str, tuple[str, ...]] = {}
    for node, others in needs.items():
        good: tuple[str, ...] = ()
        for other in others:
            if (way := _way(other, node, kept, chapters)) is not None:
                what = f"{node} rests on itself: {' on '.join([node, *way])}."
                slug, _, section = node.partition("#")
                header = _header_line(text, f"sections.{slug}" if section else "chapters")
                line = tables.key_line(text, section or slug, header)
                faults.add("circle", file, line, what, "Take one of these away.")
            else:
                good = (*good, other)
                kept[node] = good
    return kept


def above(chapter: Chapter, section: str) -> tuple[str, ...]:
    """The section that a subsection stands in, as `slug#section`; none for one of the first level."""
    last = ""
    for each in chapter.sections:
        if each.level <= 2:
            last = each.id
        if each.id == section:
            return (f"{chapter.slug}#{last}",) if last and last != section else ()
    return ()


def _way(
    start: str, goal: str, needs: Mapping[str, tuple[str, ...]], chapters: Mapping[str, Chapter]
) -> list[str] | None:
    """Nodes from start to goal along what rests on what; None where no way leads there."""
    before: dict[str, str] = {start: ""}
    queue = [start]
    while queue:
        node = queue.pop()
        if node == goal:
            way = [node]
            while before[way[0]]:
                way.insert(0, before[way[0]])
            return way
        slug, _, section = node.partition("#")
        further = list(needs.get(node, ()))
        if section:
            further += [*needs.get(slug, ()), *above(chapters[slug], section)]
        else:
            further += [f"{slug}#{each.id}" for each in chapters[slug].sections]
        for other in further:
            if other not in before:
                before[other] = node
                queue.append(other)
    return None
