"""The book, its questions and the code's docstrings as passages with addresses: its own chunks.

Nothing is cut here: a paragraph is short enough to cite, and it already has an address. What is indexed for
it is more than what is shown: the titles above it, and the interview questions and follow-ups that point at
it, since those say in a person's words what it answers (document expansion: Nogueira et al. 2019,
arXiv:1904.08375, with written questions in place of generated ones).

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from handbook.rag import sentences
from handbook.records import Chunk

if TYPE_CHECKING:
    from handbook.book.nouns import Book

PROSE = ("paragraph", "list", "item", "quote", "box")  # kinds of paragraph that sentences can be taken from
SHORTEST = 10  # words; what is shorter is a pointer ("Write it yourself: ...") and no answer
LEAD_IN = 25  # words; what is shorter and ends in a colon only announces what follows
UNREAD = ("code",)  # kinds that are not indexed: the docstrings of the same code are
_COMPOUND = re.compile(r"\b[A-Za-z]*(?:[a-z][A-Z]|[A-Z]{2}[a-z])[A-Za-z]*\b")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class Entry:
    """A passage and how it is found.

    body: text for full-text search. asks: questions that this passage answers. answers: may be cited as an
    answer (a paragraph of a chapter that is written; outlines, questions and code are found by search only).
    order: place in the book.
    """

    chunk: Chunk
    body: str
    asks: tuple[str, ...] = ()
    answers: bool = False
    order: int = 0

    @cached_property
    def digest(self) -> str:
        """Hash of everything that the index stores for this entry."""
        c = self.chunk
        fields = [
            c.id,
            c.document,
            c.anchor,
            c.title,
            c.text,
            c.url,
            c.kind,
            self.body,
            *self.asks,
            self.answers,
            self.order,
        ]
        return hashlib.sha256(json.dumps(fields).encode()).hexdigest()

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        return tuple(sentences.split(self.chunk.text))

    @property
    def headed(self) -> str:
        """Title and text, the form in which a passage is embedded."""
        return f"{self.chunk.title}. {self.chunk.text}"

    @cached_property
    def vectors_of(self) -> tuple[str, ...]:
        """Texts whose vectors stand for this passage: the whole, its sentences where it may answer, the
        questions that it answers. A question is its prompt; code is found by its words alone.
        """
        if self.chunk.kind == "code":
            return ()
        if self.chunk.kind == "question":
            return (self.chunk.title,)
        parts = self.sentences if self.answers and len(self.sentences) > 1 else ()
        return (self.headed, *parts, *self.asks)


def book_entries(book: "Book") -> Iterator[Entry]:
    """Each chapter itself (title and summary), its paragraphs and its questions, in reading order."""
    order = 0
    for slug, chapter in book.chapters.items():
        sections = {section.id: section.title for section in chapter.sections}
        asks: dict[str, list[str]] = {}
        for question in chapter.questions:
            asked = (question.prompt, *(follow_up.ask for follow_up in question.follow_ups))
            asks.setdefault(question.anchor, []).extend(" ".join(ask.split()) for ask in asked)
        head = Chunk(slug, slug, "", chapter.title, chapter.summary, f"/book/{chapter.path}")
        yield Entry(head, body_of(chapter.title, chapter.summary), order=order)
        order += 1
        for paragraph in chapter.paragraphs:
            if paragraph.kind in UNREAD or not paragraph.text.strip():
                continue
            title = " / ".join(t for t in (chapter.title, sections.get(paragraph.section, "")) if t)
            chunk = Chunk(
                id=f"{slug}#{paragraph.anchor}",
                document=slug,
                anchor=paragraph.anchor,
                title=title,
                text=paragraph.text.strip(),
                url=f"/book/{chapter.path}#{paragraph.anchor}",
            )
            answered = tuple(asks.get(paragraph.anchor, ()))
            body = body_of(title, chunk.text, *answered)
            answers = chapter.written and paragraph.kind in PROSE and _says(chunk.text, paragraph.box)
            yield Entry(chunk, body, answered, answers, order)
            order += 1
        for question in chapter.questions:
            chunk = Chunk(
                id=f"question:{question.id}",
                document=slug,
                anchor=question.anchor,
                title=" ".join(question.prompt.split()),
                text=question.answer.strip(),
                url=f"/book/{chapter.path}/questions#{question.id}",
                kind="question",
            )
            yield Entry(chunk, body_of(chunk.title, chunk.text), (), False, order)
            order += 1


def body_of(*texts: str) -> str:
    """Texts as they are indexed: compounds also in parts, so `flash attention` finds FlashAttention."""
    text = "\n".join(texts)
    parts = (_CAMEL.sub(" ", word) for word in dict.fromkeys(_COMPOUND.findall(text)))
    return "\n".join((text, *parts))


def _says(text: str, box: str) -> bool:
    """Whether a paragraph says something: not a pointer, a lead-in or the interviewer's question."""
    words = len(text.split())
    return (
        words >= SHORTEST
        and not (words < LEAD_IN and text.endswith(":"))
        and not box.lower().endswith("asks")
    )


def package_root() -> Path:
    """Folder of the `handbook` package."""
    return Path(__file__).parent.parent


def code_entries(root: Path | None = None) -> Iterator[Entry]:
    """Documented public symbols of the package (or of the package folder `root`), by AST: no module is
    imported.
    """
    root = root or package_root()
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        module = ".".join((root.name, *(part for part in parts if part != "__init__")))
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue  # half-edited code is the linter's business; search goes on without it
        for symbol, doc in _documented(tree):
            yield _code_entry(module, symbol, doc)


def _documented(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(qualified name, docstring) of the module itself (name '') and of public classes, functions and
    methods.
    """
    if doc := ast.get_docstring(tree):
        yield "", doc
    stack: list[tuple[str, Iterable[ast.stmt]]] = [("", tree.body)]
    while stack:
        prefix, body = stack.pop()
        for node in body:
            if not isinstance(
                node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            ) or node.name.startswith("_"):
                continue
            name = f"{prefix}{node.name}"
            if doc := ast.get_docstring(node):
                yield name, doc
            if isinstance(node, ast.ClassDef):
                stack.append((f"{name}.", node.body))


def _code_entry(module: str, symbol: str, doc: str) -> Entry:
    title = f"{module}:{symbol}" if symbol else module
    chunk = Chunk(
        id=title,
        document=module,
        anchor=symbol,
        title=title,
        text=doc,
        url=f"/code/{module}#{symbol}" if symbol else f"/code/{module}",
        kind="code",
    )
    return Entry(chunk, body_of(title, doc))
