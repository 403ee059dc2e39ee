"""What the stages hand to each other. Frozen; nothing here computes more than its fields say.

A document's text is fixed once it is parsed: every later offset is a place in that text, so a chunk, a
sentence and a citation can always be shown where they stand.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from handbook.records import Step

__all__ = ["Block", "BlockKind", "Condition", "Found", "Kind", "Parsed", "Row", "Span", "Step"]

Kind = Literal["pdf", "html", "docx", "markdown", "text", "csv", "notebook"]
BlockKind = Literal["heading", "paragraph", "list", "table", "code"]


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a document's structure: text[start:end]. level: of a heading, 1 to 6; else 0."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document as text: what stage 1 makes of a file or a page.

    source: absolute path or URL. text: normalised (NFC, line ends as \\n, no control characters). digest:
    SHA-256 of the source's bytes. language: ISO 639-1, "" where it can't be told. blocks: in order, without
    overlaps. pages: where each page begins in the text; empty where there are none. metadata: what the file
    says of itself (author, date, ...). lost: in words, what could not be read; parsing fails silently unless
    it is counted.
    """

    source: str
    kind: Kind
    title: str
    text: str
    digest: str
    language: str = ""
    blocks: tuple[Block, ...] = ()
    pages: tuple[int, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A chunk's place: text[start:end], exactly. headings: the titles above it, outermost first. parent: the
    larger span that it is a part of, which may be handed on in its place."""

    start: int
    end: int
    headings: tuple[str, ...] = ()
    parent: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A chunk as the index holds it. id: unique in its corpus. document: the source it is of. page: from 1, 0
    where there are none. fields: what filters can ask for, beside language and kind."""

    id: str
    document: str
    text: str
    start: int
    end: int
    title: str = ""
    headings: tuple[str, ...] = ()
    parent: tuple[int, int] | None = None
    page: int = 0
    kind: str = ""
    language: str = ""
    tenant: str = ""
    digest: str = ""
    fields: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A row with what brought it. A score is None where that retriever did not return it.

    dense: cosine, -1 to 1. lexical: BM25. rerank: a reranker's logit. score: of the last stage that ordered;
    only its order means anything.
    """

    row: Row
    score: float
    dense: float | None = None
    lexical: float | None = None
    rerank: float | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter on one field: equal to any of some values, or in a range (bounds included, None is open)."""

    name: str
    any_of: tuple[str | float, ...] = ()
    least: float | str | None = None
    most: float | str | None = None
