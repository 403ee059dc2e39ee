"""Stages 1 and 2 together, as a worker does them: a file in, its text and its chunks out, none embedded."""

from dataclasses import dataclass
from time import process_time

from handbook.rag.chunk import chunk
from handbook.rag.ingest import parse
from handbook.rag.nouns import Parsed, Span


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document and its chunks."""

    parsed: Parsed
    spans: tuple[Span, ...]


def prepare(path: str) -> Prepared:
    """A file, parsed and cut along its structure. Raises Unreadable where nothing of it can be read."""
    parsed = parse(path)
    return Prepared(parsed, tuple(chunk(parsed)))


def measure(path: str) -> tuple[int, int, float]:
    """Characters and chunks of a file, and the seconds of a core that they took: for timing, with little to
    send back.
    """
    started = process_time()
    prepared = prepare(path)
    return len(prepared.parsed.text), len(prepared.spans), process_time() - started
