"""The concept map as a drawing: chapters in columns by what rests on what, each section a mark in its
chapter.

A mark says how the section stands by its shape as well as its colour: solid is a full square, shaky a half
one, unknown an empty one. Plain SVG, wider than the book's drawings; a table beside it says the same.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from handbook.book.pen import INK, LINE, MUTED, PAPER, box, text

if TYPE_CHECKING:
    from handbook.practice.diagnostic import Standing
    from handbook.practice.graph import Graph

GOOD, BAD, CONTROL = "var(--good, #2b6034)", "var(--bad, #9a2c22)", "var(--control, #8a857a)"
WIDTH, WIDE, GAP = 860, 232, 14  # of the drawing, of a chapter, between two of a column
MARK, PITCH, TITLE, PAD = 10, 15, 17, 9
SIZE = 14  # of letters
WORDS = 29  # characters in a line of a chapter's title
LEGEND = 34


@dataclass(frozen=True, slots=True)
class Chapter:
    """A box of the map. states: of its sections in order; empty where it is not written."""

    slug: str
    title: tuple[str, ...]
    states: tuple[tuple[str, str], ...]  # (section's title, state)
    needs: tuple[str, ...]
    column: int

    @property
    def height(self) -> float:
        rows = -(-len(self.states) // self.per_row) if self.states else 1
        return PAD * 2 + TITLE * len(self.title) + PITCH * rows + 2

    @property
    def per_row(self) -> int:
        return int((WIDE - 2 * PAD) // PITCH)


def concept_map(graph: "Graph", sections: "Mapping[str, Standing]") -> str:
    """sections: how each written section stands, by its id. "" for a book without chapters."""
    columns = _columns(graph, sections)
    if not columns:
        return ""
    wide = (WIDTH - WIDE * len(columns)) / max(1, len(columns) - 1) if len(columns) > 1 else 0
    heights = [sum(each.height + GAP for each in column) - GAP for column in columns]
    tall = max(heights)
    places: dict[str, tuple[float, float, Chapter]] = {}
    for number, (column, height) in enumerate(zip(columns, heights, strict=True)):
        spare = (tall - height) / (len(column) + 1)
        y = LEGEND + spare
        for each in column:
            places[each.slug] = (number * (WIDE + wide), y, each)
            y += each.height + GAP + spare
    parts = [box(0, 0, WIDTH, LEGEND + tall + 4, PAPER, PAPER), *_legend()]
    for x, y, each in places.values():
        for need in each.needs:
            if need in places:
                fx, fy, other = places[need]
                parts.append(_edge(fx + WIDE, fy + other.height / 2, x, y + each.height / 2))
    parts += [_chapter(x, y, each) for x, y, each in places.values()]
    return _svg(LEGEND + tall + 4, graph, sections, parts)


def _columns(graph: "Graph", sections: "Mapping[str, Standing]") -> list[list[Chapter]]:
    """Chapters by the longest way to them; in a column those with the same neighbours stand together."""
    depth: dict[str, int] = {}

    def deep(slug: str, above: tuple[str, ...] = ()) -> int:
        if slug not in depth:
            needs = [need for need in graph.chapters.get(slug, ()) if need not in above]
            depth[slug] = 1 + max((deep(need, (*above, slug)) for need in needs), default=-1)
        return depth[slug]

    columns: list[list[Chapter]] = [[] for _ in range(1 + max(map(deep, graph.chapters), default=-1))]
    order: dict[str, float] = {}
    for number, column in enumerate(columns):
        slugs = [slug for slug in graph.chapters if depth[slug] == number]
        weight = {slug: _weight(slug, graph, order) for slug in slugs}
        for place, slug in enumerate(sorted(slugs, key=weight.__getitem__)):
            order[slug] = float(place)
            column.append(
                Chapter(
                    slug,
                    tuple(textwrap.wrap(graph.titles[slug], WORDS)[:2]) or (slug,),
                    tuple(
                        (each.title, sections[each.id].state if each.id in sections else "unknown")
                        for each in graph.of(slug)
                        if each.written
                    ),
                    graph.chapters[slug],
                    number,
                )
            )
    return columns


def _weight(slug: str, graph: "Graph", order: Mapping[str, float]) -> float:
    """The middle of what a chapter rests on; of the first column: those that nothing rests on come last."""
    needs = [order[need] for need in graph.chapters[slug] if need in order]
    if needs:
        return sum(needs) / len(needs)
    return 0.0 if any(slug in others for others in graph.chapters.values()) else 1.0


def _chapter(x: float, y: float, chapter: Chapter) -> str:
    parts = [
        box(x, y, WIDE, chapter.height, PAPER, LINE if not chapter.states else CONTROL, not chapter.states)
    ]
    for number, words in enumerate(chapter.title):
        fill = INK if chapter.states else MUTED
        parts.append(
            text(x + PAD, y + PAD + 12 + number * TITLE, words, fill, size=SIZE, bold=bool(chapter.states))
        )
    top = y + PAD + TITLE * len(chapter.title) + 3
    if not chapter.states:
        parts.append(text(x + PAD, top + 10, "not written yet", MUTED, size=SIZE - 1))
    for number, (title, state) in enumerate(chapter.states):
        row, column = divmod(number, chapter.per_row)
        parts.append(mark(x + PAD + column * PITCH, top + row * PITCH, state, f"{title}: {state}"))
    return "".join(parts)


def mark(x: float, y: float, state: str, title: str = "") -> str:
    """A section: full, half or empty."""
    colour = {"solid": GOOD, "shaky": BAD}.get(state, CONTROL)
    said = f"<title>{escape(title)}</title>" if title else ""
    fill = ""
    if state == "solid":
        fill = f'<rect x="{x:g}" y="{y:g}" width="{MARK}" height="{MARK}" fill="{colour}"/>'
    elif state == "shaky":
        fill = f'<path d="M{x:g} {y:g}v{MARK}h{MARK}z" fill="{colour}"/>'
    edge = (
        f'<rect x="{x:g}" y="{y:g}" width="{MARK}" height="{MARK}" fill="none" stroke="{colour}" '
        'stroke-width="1.4" pointer-events="all"/>'
    )
    return f"<g>{said}{fill}{edge}</g>"


def _edge(x1: float, y1: float, x2: float, y2: float) -> str:
    middle = (x1 + x2) / 2
    return (
        f'<path d="M{x1:g} {y1:g}C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}" fill="none" '
        f'stroke="{LINE}" stroke-width="1.5"/>'
    )


def _legend() -> Sequence[str]:
    parts, x = [], 0.0
    for state, words in (("solid", "solid"), ("shaky", "shaky"), ("unknown", "not known")):
        parts += [mark(x + 1, 6, state), text(x + 18, 16, words, MUTED, size=SIZE)]
        x += 40 + 8 * len(words)
    parts.append(
        text(x + 10, 16, "each mark a section; a line: the right one rests on the left", MUTED, size=SIZE)
    )
    return parts


def _svg(height: float, graph: "Graph", sections: "Mapping[str, Standing]", parts: Sequence[str]) -> str:
    count = {state: sum(each.state == state for each in sections.values()) for state in ("solid", "shaky")}
    said = (
        f"{len(graph.chapters)} chapters, {len(sections)} sections: {count['solid']} solid, "
        f"{count['shaky']} shaky, the others not known. The table says which."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 0 {WIDTH + 2} {height:g}" role="img">'
        f"<title>The concepts of the book as a map</title><desc>{escape(said)}</desc>"
        + "".join(parts)
        + "</svg>"
    )
