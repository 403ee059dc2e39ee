"""What the book is made of. Frozen; where a thing came from (file, line) travels with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from handbook.book.claims import Claim
from handbook.book.references import Reference
from handbook.records import Level, Question

if TYPE_CHECKING:
    from handbook.book.blocks import Block

Status = Literal["written", "outline"]


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Something wrong in the book's files. file: relative to the folder that holds the book (`book/...`).

    kind: a short fixed name (`dangling-link`, `stale-code`, ...), for tests and --json.
    """

    file: str
    line: int
    what: str
    remedy: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what} {self.remedy}".rstrip()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading. level: 2 for `##`, 3 for `###`."""

    id: str
    title: str
    level: int
    line: int


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A block with an address.

    text: plain, with math kept as `$...$`. section: id of the nearest heading above, "" before the first.
    kind: paragraph, list, table, quote, math, code, figure, item, or box (a box with an id is one address).
    box: title of the box around it, if any.
    """

    anchor: str
    section: str
    text: str
    line: int
    kind: str = "paragraph"
    box: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A reference as written: `scheme:target` in a paragraph of a file.

    scheme: cite, claim, code, lab, question, exercise, chapter, figure, zoo, include, anchor (`#id`)
    or web.
    """

    scheme: str
    target: str
    text: str
    line: int
    anchor: str


@dataclass(frozen=True, slots=True)
class Backlink:
    """Who points here. url is where a person reads the place that points."""

    chapter: str
    anchor: str
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class GrowthPlan:
    """How time should grow with the size of the input: "n log n", say. No sizes: the judge's own."""

    expect: str
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Exercise:
    """A coding exercise. statement: Markdown. solution: the symbol that it wraps, if it is our own code.

    pattern: one of `exercise_files.PATTERNS`, "" where it says none. imports: what a submission may import
    beyond the standard library. seconds: of wall time for all tests together; memory: MiB beyond what the
    process has before it begins. commentary: Markdown, shown once the exercise is solved or given up.
    """

    name: str
    chapter: str
    title: str
    level: Level
    minutes: int
    entry: str
    hints: tuple[str, ...]
    anchor: str
    statement: str
    starter: str
    folder: Path
    solution: str | None = None
    pattern: str = ""
    imports: tuple[str, ...] = ("numpy", "torch")
    seconds: float = 10.0
    memory: int = 1024
    growth: GrowthPlan | None = None
    commentary: str = ""

    def file(self, name: str) -> Path:
        """Path of statement.md, starter.py, solution.py, tests.py, hidden.py or commentary.md."""
        return self.folder / name


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter as data. source is None where book.toml promises it and nobody has written a file yet.

    lab: its notebook, if there is one. lab_sections: names that `lab:` links may point to.
    anchors: every id of the page with its line. words: prose only.
    """

    part: str
    slug: str
    title: str
    status: Status
    summary: str
    source: Path | None
    folder: Path
    text: str = ""
    sections: tuple[Section, ...] = ()
    paragraphs: tuple[Paragraph, ...] = ()
    anchors: Mapping[str, int] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    links: tuple[Link, ...] = ()
    claims: tuple[Claim, ...] = ()
    questions: tuple[Question, ...] = ()
    exercises: tuple[Exercise, ...] = ()
    lab: Path | None = None
    lab_sections: frozenset[str] = frozenset()
    code: tuple[str, ...] = ()
    figures: Mapping[str, Path] = field(default_factory=dict)
    words: int = 0
    backlinks: tuple[Backlink, ...] = ()

    @property
    def path(self) -> str:
        return f"{self.part}/{self.slug}"

    @property
    def url(self) -> str:
        return f"/book/{self.path}"

    @property
    def written(self) -> bool:
        return self.source is not None and self.status == "written"

    def paragraph(self, anchor: str) -> Paragraph | None:
        return next((p for p in self.paragraphs if p.anchor == anchor), None)

    def section(self, id: str) -> Section | None:
        return next((s for s in self.sections if s.id == id), None)


@dataclass(frozen=True, slots=True)
class Part:
    slug: str
    title: str
    chapters: tuple[Chapter, ...]


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    chapters: tuple[Chapter, ...]


@dataclass(frozen=True, slots=True)
class StudyPath:
    id: str
    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Book:
    """Everything, read once. Open it again when `changed()` says so; a Book itself never changes.

    chapters by slug, in order; claims, questions and references by id; exercises by name.
    backlinks: by `scheme:target` as a link spells it (`code:module:symbol`, `cite:key`, `question:id`,
    `exercise:name`, `claim:id`, `chapter:slug`, `chapter:slug#anchor`), who points there.
    prerequisites: a chapter's slug, or `slug#section` -> those that it rests on directly; without circles.
    """

    root: Path
    title: str
    parts: tuple[Part, ...]
    chapters: Mapping[str, Chapter]
    paths: tuple[StudyPath, ...]
    references: Mapping[str, Reference]
    questions: Mapping[str, Question]
    exercises: Mapping[str, Exercise]
    claims: Mapping[str, Claim]
    faults: tuple[Fault, ...]
    backlinks: Mapping[str, tuple[Backlink, ...]]
    package: str
    stamps: Mapping[str, tuple[int, int]] = field(repr=False, default_factory=dict)
    prerequisites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def chapter(self, name: str) -> Chapter | None:
        """By slug or by path (`part/slug`)."""
        chapter = self.chapters.get(name.rpartition("/")[2])
        return chapter if chapter and name in (chapter.slug, chapter.path) else None

    def links_to(self, target: str) -> tuple[Backlink, ...]:
        return self.backlinks.get(target, ())

    def chapters_of(self, module: str) -> tuple[Chapter, ...]:
        """Chapters that teach this module (list it under `code:`)."""
        return tuple(c for c in self.chapters.values() if module in c.code)

    def changed(self) -> bool:
        """Whether any file of the book or of the package is newer, new or gone since it was read."""
        from handbook.book.stamps import take

        return take(self.root, self.package) != self.stamps
