"""Stages 1 and 2 together, as a worker does them: a file in, its text and its chunks out, none embedded.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import process_time

from handbook.rag.chunk import PARENT, SIZE, Method, chunk
from handbook.rag.ingest import parse, read_file
from handbook.rag.nouns import Parsed, Span
from handbook.rag.tokens import Count, estimate, of_tokenizer


@dataclass(frozen=True, slots=True)
class Cutting:
    """How documents are chunked. tokenizer: the file of the embedder's, by which tokens are counted; '' to
    estimate them."""

    method: Method = "markdown"
    limit: int = SIZE
    overlap: int = 0
    parent: int = PARENT
    tokenizer: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A document to prepare. source: what it is called; path: the file that holds it, which for a page is
    what was fetched, of type `media`."""

    source: str
    path: str
    media: str = ""
    cutting: Cutting = Cutting()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document and its chunks."""

    parsed: Parsed
    spans: tuple[Span, ...]


def prepare(path: str) -> Prepared:
    """A file, parsed and cut along its structure. Raises Unreadable where nothing of it can be read."""
    return perform(Task(path, path))


def perform(task: Task) -> Prepared:
    """A task, done; the chunks of method semantic are left to whoever has the embedder. Raises Unreadable
    where nothing of the document can be read."""
    cutting = task.cutting
    if task.source == task.path:
        parsed = parse(task.path)
    else:
        parsed = parse(read_file(task.path), task.source, media=task.media)
    if cutting.method == "semantic":
        return Prepared(parsed, ())
    count = counting(cutting.tokenizer)
    spans = chunk(parsed, cutting.method, cutting.limit, cutting.overlap, count, parent=cutting.parent)
    return Prepared(parsed, tuple(spans))


@lru_cache(maxsize=2)
def counting(tokenizer: str) -> Count:
    """How tokens are counted with the tokenizer of this file; '' is an estimate."""
    if not tokenizer:
        return estimate()
    from tokenizers import Tokenizer

    return of_tokenizer(Tokenizer.from_str(Path(tokenizer).read_text(encoding="utf-8")))


def measure(path: str) -> tuple[int, int, float]:
    """Characters and chunks of a file, and the seconds of a core that they took: for timing, with little to
    send back.
    """
    started = process_time()
    prepared = prepare(path)
    return len(prepared.parsed.text), len(prepared.spans), process_time() - started
