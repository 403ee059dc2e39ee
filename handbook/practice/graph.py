"""The concept graph: sections of the book as nodes, and what rests on what.

Edges come from three places, strongest first: book/prerequisites.toml (written by hand), the book's own
nesting (a subsection rests on its section), and links from one section's text to another. The first two have
a direction and no circles; links only say that two sections are about related things.

An anchor of a question or an exercise is a paragraph; its section is the node that it belongs to. Areas are
the book's parts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from handbook.book.prerequisites import above

if TYPE_CHECKING:
    from handbook.book.nouns import Book, Chapter, Exercise
    from handbook.records import Question


@dataclass(frozen=True, slots=True)
class Concept:
    """A section. id: `chapter#section`. area: slug of the part. needs: ids that it rests on directly.

    words: of its own text, without its subsections'. math: pieces of display mathematics and code, which are
    read slower than their words. written: False where the chapter is an outline.
    """

    id: str
    chapter: str
    area: str
    title: str
    url: str
    words: int
    math: int
    questions: tuple[str, ...]
    exercises: tuple[str, ...]
    needs: tuple[str, ...]
    written: bool

    @property
    def section(self) -> str:
        return self.id.partition("#")[2]


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the book. chapters: slugs in order."""

    id: str
    title: str
    chapters: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """concepts: by id, in the book's order. chapters: slug -> slugs that it rests on. titles: of chapters.

    related: pairs of ids (ordered by the book) that link to each other. tracks: id of a study path -> steps,
    each (title, slugs). places: question or exercise -> id of its concept.
    """

    concepts: Mapping[str, Concept]
    chapters: Mapping[str, tuple[str, ...]]
    titles: Mapping[str, str]
    areas: Mapping[str, Area]
    related: frozenset[tuple[str, str]]
    tracks: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]]
    track_titles: Mapping[str, str]
    questions: Mapping[str, Question]
    exercises: Mapping[str, Exercise]
    places: Mapping[str, str]
    needed_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Graph of {len(self.concepts)} sections in {len(self.chapters)} chapters>"

    def of(self, chapter: str) -> tuple[Concept, ...]:
        """A chapter's sections, in order."""
        return tuple(each for each in self.concepts.values() if each.chapter == chapter)

    def in_area(self, area: str) -> tuple[Concept, ...]:
        return tuple(each for each in self.concepts.values() if each.area == area)

    def before(self, id: str) -> tuple[str, ...]:
        """All that a section rests on, directly or not, nearest first."""
        found: dict[str, None] = {}
        queue = list(self.concepts[id].needs)
        while queue:
            other = queue.pop(0)
            if other not in found:
                found[other] = None
                queue += self.concepts[other].needs
        return tuple(found)

    def in_order(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The sections in the order given, but for each what it rests on (of those given) first."""
        wanted = dict.fromkeys(ids)
        placed: dict[str, None] = {}

        def place(id: str) -> None:
            if id not in placed:
                for other in self.concepts[id].needs:
                    if other in wanted:
                        place(other)
                placed[id] = None

        for id in wanted:
            place(id)
        return tuple(placed)


def concepts(book: Book) -> Graph:
    """The graph of a book. Chapters that book.toml promises and nobody has written have no nodes."""
    places: dict[str, str] = {}
    nodes: dict[str, Concept] = {}
    for part in book.parts:
        for chapter in part.chapters:
            nodes.update((each.id, each) for each in _sections(chapter, book, places))
    needed_by: dict[str, list[str]] = defaultdict(list)
    for each in nodes.values():
        for other in each.needs:
            needed_by[other].append(each.id)
    return Graph(
        concepts=nodes,
        chapters={slug: book.prerequisites.get(slug, ()) for slug in book.chapters},
        titles={slug: chapter.title for slug, chapter in book.chapters.items()},
        areas={p.slug: Area(p.slug, p.title, tuple(c.slug for c in p.chapters)) for p in book.parts},
        related=_related(book, nodes),
        tracks={
            path.id: tuple((step.title, tuple(c.slug for c in step.chapters)) for step in path.steps)
            for path in book.paths
        },
        track_titles={path.id: path.title for path in book.paths},
        questions={id: question for id, question in book.questions.items() if id in places},
        exercises={name: exercise for name, exercise in book.exercises.items() if name in places},
        places=places,
        needed_by={id: tuple(others) for id, others in needed_by.items()},
    )


def _section_of(chapter: Chapter) -> dict[str, str]:
    """Anchor of a paragraph, or id of a section -> id of the section; what stands before the first heading
    belongs to the first."""
    first = chapter.sections[0].id if chapter.sections else ""
    found = {p.anchor: p.section or first for p in chapter.paragraphs}
    return found | {section.id: section.id for section in chapter.sections}


def _sections(chapter: Chapter, book: Book, places: dict[str, str]) -> list[Concept]:
    section_of = _section_of(chapter)
    words: dict[str, int] = defaultdict(int)
    math: dict[str, int] = defaultdict(int)
    inside: dict[str, dict[str, list[str]]] = {"question": defaultdict(list), "exercise": defaultdict(list)}
    for paragraph in chapter.paragraphs:
        home = section_of[paragraph.anchor]
        words[home] += len(paragraph.text.split())
        math[home] += paragraph.kind in ("math", "code")
    for kind, entries in (("question", chapter.questions), ("exercise", chapter.exercises)):
        for entry in entries:
            name = _name(entry)
            home = section_of.get(entry.anchor, "")
            if home and name not in places:
                inside[kind][home].append(name)
                places[name] = f"{chapter.slug}#{home}"
    found = []
    for section in chapter.sections:
        id = f"{chapter.slug}#{section.id}"
        nested, written = above(chapter, section.id), book.prerequisites.get(id, ())
        found.append(
            Concept(
                id=id,
                chapter=chapter.slug,
                area=chapter.part,
                title=section.title,
                url=f"{chapter.url}#{section.id}",
                words=words[section.id],
                math=math[section.id],
                questions=tuple(inside["question"][section.id]),
                exercises=tuple(inside["exercise"][section.id]),
                needs=tuple(dict.fromkeys((*written, *nested))),
                written=chapter.written,
            )
        )
    return found


def _name(entry: Question | Exercise) -> str:
    return getattr(entry, "id", "") or getattr(entry, "name", "")


def _related(book: Book, nodes: Mapping[str, Concept]) -> frozenset[tuple[str, str]]:
    """Pairs of sections of which one's text links to the other."""
    order = {id: number for number, id in enumerate(nodes)}
    section_of = {slug: _section_of(chapter) for slug, chapter in book.chapters.items()}
    pairs = set()
    for slug, chapter in book.chapters.items():
        for link in chapter.links:
            if link.scheme not in ("anchor", "chapter"):
                continue
            other, anchor = (
                (slug, link.target) if link.scheme == "anchor" else link.target.partition("#")[::2]
            )
            here = f"{slug}#{section_of[slug].get(link.anchor, '')}"
            there = f"{other}#{section_of.get(other, {}).get(anchor, '')}"
            if here != there and here in order and there in order:
                pairs.add((here, there) if order[here] < order[there] else (there, here))
    return frozenset(pairs)
