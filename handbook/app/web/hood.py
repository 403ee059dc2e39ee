"""The hood beside an answer: what each stage received, produced and cost, as the page draws it.

Each stage leads to its section of the chapter and to its code. Values are drawn by what they are: a word or a
number as a line, a list of records as passages with their figures, whatever a stage calls them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from handbook.records import Answer, Step

if TYPE_CHECKING:
    from handbook.book.nouns import Book

CHAPTER = "rag-pipeline-deep-dive"
MOST_ROWS = 50  # of a list that is drawn
MOST_TEXT = 600  # characters of a value
CODE = {  # what a stage is written in; a part of a stage before the stage itself
    "ingest": "handbook.rag.ingest",
    "chunk": "handbook.rag.chunk",
    "embed": "handbook.embed",
    "index": "handbook.rag.index",
    "understand": "handbook.rag.understand",
    "understand.normalise": "handbook.rag.query.normal",
    "understand.spell": "handbook.rag.query.spelling",
    "understand.rewrite": "handbook.rag.query.rewriting",
    "understand.filter": "handbook.rag.query.conditions",
    "understand.route": "handbook.rag.query.routing",
    "understand.decompose": "handbook.rag.query.decomposing",
    "understand.expand": "handbook.rag.query.expanding",
    "understand.hyde": "handbook.rag.query.expanding",
    "retrieve": "handbook.rag.search",
    "retrieve.expand": "handbook.rag.search",
    "fuse": "handbook.rag.fuse",
    "fuse.distinct": "handbook.rag.dedupe",
    "fuse.diverse": "handbook.rag.diversity",
    "rerank": "handbook.rag.rerank",
    "rerank.pairs": "handbook.rag.cross",
    "pack": "handbook.rag.pack",
    "synthesize": "handbook.rag.synthesize",
    "synthesize.decide": "handbook.rag.confidence",
    "evaluate": "handbook.rag.evaluate",
}
TITLES = {
    "fuse.distinct": "Fuse: each thing once",
    "fuse.diverse": "Fuse: diversity",
    "rerank.pairs": "Rerank",
    "retrieve.expand": "Retrieve: surroundings",
    "synthesize.decide": "Synthesize: answer or refuse",
    "understand.hyde": "Understand: suppose an answer",
    "understand.spell": "Understand: spelling",
}
WORDS = {"bm25": "BM25", "mmr": "MMR", "id": "id", "url": "address", "k": "k"}  # names not spelled as words
FIGURES = ("dense", "lexical", "rerank", "score")  # of a row, beside its ranks


@dataclass(frozen=True, slots=True)
class Line:
    """One value. rows: of a list of records. more: how many of them are not drawn."""

    name: str
    text: str = ""
    items: tuple[str, ...] = ()
    rows: tuple["Row", ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A passage in a list: its rank and the one before, where it leads, and what else is known of it."""

    title: str
    url: str = ""
    rank: int | None = None
    was: int | None = None
    figures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A step as it is drawn. chapter, code: addresses, '' where there is none."""

    id: str
    title: str
    time: str
    note: str
    chapter: str
    code: str
    module: str
    received: tuple[Line, ...]
    produced: tuple[Line, ...]
    cost: tuple[Line, ...]


def views(steps: Sequence[Step], book: "Book", url_of: Callable[[str], str]) -> list[View]:
    """Steps in their order. url_of: the address of a passage by its id, '' for one that has none."""
    return [_view(step, number, book, url_of) for number, step in enumerate(steps, start=1)]


def answer_urls(answer: Answer) -> Callable[[str], str]:
    """Addresses of passages by id: those that the answer holds; of a corpus, any."""
    cited = [each.chunk for sentence in answer.sentences for each in sentence.citations]
    known = {chunk.id: chunk.url for chunk in (*cited, *(hit.chunk for hit in answer.hits))}
    if answer.corpus == "book":
        return lambda id: known.get(id, "")
    return lambda id: known.get(id, f"/corpora/{answer.corpus}/passage/{id}")


def total(steps: Iterable[Step]) -> str:
    """The time of all steps together."""
    return time(sum(step.seconds for step in steps))


def time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.1f} ms" if seconds >= 0.0001 else "under 0.1 ms"


def _view(step: Step, number: int, book: "Book", url_of: Callable[[str], str]) -> View:
    stage, _, part = step.stage.partition(".")
    module = CODE.get(step.stage, CODE.get(stage, ""))
    chapter = book.chapters.get(CHAPTER)
    title = TITLES.get(step.stage) or _spoken(stage) + (f": {_spoken(part, first=False)}" if part else "")
    return View(
        f"step-{number}",
        title,
        time(step.seconds),
        step.note,
        f"{chapter.url}#{stage}" if chapter is not None else "",
        f"/code/{module}" if module else "",
        module,
        _lines(step.received, url_of),
        _lines(step.produced, url_of),
        _lines(step.cost, url_of),
    )


def _lines(values: Mapping[str, Any], url_of: Callable[[str], str]) -> tuple[Line, ...]:
    return tuple(_line(_spoken(name), value, url_of) for name, value in values.items())


def _line(name: str, value: Any, url_of: Callable[[str], str]) -> Line:
    records = _records(value)
    if records:
        drawn = tuple(_row(one, url_of) for one in records[:MOST_ROWS])
        return Line(name, f"{len(records)}", rows=drawn, more=max(0, len(records) - MOST_ROWS))
    if isinstance(value, list | tuple):
        items = tuple(_text(one) for one in value)
        if len(items) < 2:
            return Line(name, items[0] if items else "none")
        return Line(name, items=items[:MOST_ROWS], more=max(0, len(items) - MOST_ROWS))
    return Line(name, _text(value))


def _records(value: Any) -> list[Mapping[str, Any]]:
    """The value as a list of records; empty where it is none."""
    if isinstance(value, Mapping) or (is_dataclass(value) and not isinstance(value, type)):
        value = [value]
    if not isinstance(value, list | tuple):
        return []
    found: list[Mapping[str, Any]] = []
    for one in value:
        if is_dataclass(one) and not isinstance(one, type):
            one = {field.name: getattr(one, field.name) for field in fields(one)}
        if not isinstance(one, Mapping):
            return []
        found.append(one)
    return found


def _row(one: Mapping[str, Any], url_of: Callable[[str], str]) -> Row:
    left = {name: value for name, value in one.items() if value not in (None, "", ())}
    id = str(left.pop("id", ""))
    url = str(left.pop("url", "")) or (url_of(id) if id else "")
    rank, was = left.pop("rank", None), left.pop("rank_before", None)
    title = left.pop("title", None) or left.pop("text", None) or id
    known = [name for name in FIGURES if name in left]
    figures = [(_spoken(name), _text(left[name])) for name in (*known, *(n for n in left if n not in known))]
    safe = url if url.startswith("/") and not url.startswith("//") else ""
    return Row(_text(title), safe, _whole(rank), _whole(was), tuple(figures))


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _spoken(name: str, first: bool = True) -> str:
    """`lost_in_the_middle` as words."""
    if name in WORDS:
        return WORDS[name]
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:] if first else text


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if isinstance(value, Mapping):
        return ", ".join(f"{_spoken(str(name), first=False)} {_text(one)}" for name, one in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_text(one) for one in value)
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]} …"
