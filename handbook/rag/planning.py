"""What an ingestion has to do: what the sources of a corpus hold now, against what was last seen of them.

A source is a folder, a file or a page. What can't be reached at the moment takes nothing out of the corpus: a
disk that is not mounted looks like an empty folder, and a folder without rights like one without files.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from handbook.errors import HandbookError
from handbook.rag.documents import Seen, changes
from handbook.rag.fetch import Page, fetch
from handbook.rag.store import clear_disk_errors
from handbook.rag.walk import File, Skipped, walk

SourceKind = Literal["folder", "file", "page"]

BATCH_BYTES = 256 << 10  # of a batch of documents: what is done again after a kill, if not embedded again
BATCH_DOCUMENTS = 64


@dataclass(frozen=True, slots=True)
class Source:
    """What a person named. name: an absolute path, or a URL."""

    name: str
    kind: SourceKind


@dataclass(frozen=True, slots=True)
class Known:
    """What the corpus has of a document. origin: the source that brought it."""

    origin: str
    seen: Seen


@dataclass(frozen=True, slots=True)
class Todo:
    """A document to be read anew. path: where its bytes lie; media: the type that a page's server gave."""

    source: str
    path: str
    origin: str
    seen: Seen
    media: str = ""


@dataclass(frozen=True)
class Plan:
    """What there is to do.

    new, changed, same: how many documents; gone: which are no more. batches: what has to be read, in parts.
    seen: of documents that are the same and were looked at again. faults: documents that can't be read now
    and were never; what could be read before stays, with a line in `broken`, where also sources stand that
    can't be reached. skipped: in words, what folders hold that is not taken; lines: of it, what a person
    would want to know.
    """

    new: int = 0
    changed: int = 0
    same: int = 0
    gone: tuple[str, ...] = ()
    batches: tuple[tuple[Todo, ...], ...] = ()
    seen: Mapping[str, Seen] = field(default_factory=dict)
    faults: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # source -> origin, reason
    broken: tuple[str, ...] = ()
    skipped: str = ""
    lines: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(max(todo.seen.size, 0) for batch in self.batches for todo in batch)

    def __str__(self) -> str:
        return (
            f"{self.new:,} new, {self.changed:,} changed, {self.same:,} the same, {len(self.gone):,} gone"
            + (f", {len(self.faults):,} can't be read" if self.faults else "")
            + (f"; left out: {self.skipped}" if self.skipped else "")
        )


def named(text: str) -> Source:
    """What a person typed, as a source. Raises HandbookError where there is no such file or folder."""
    text = text.strip()
    if "://" in text:
        return Source(_page(text), "page")
    if not text or "\0" in text:
        raise HandbookError("The path is empty or no path.", "Name a folder, a file or a URL.")
    try:
        path = Path(text).expanduser().absolute().resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise HandbookError(
            f"{text} can't be read: {reason}.", "Name a folder, a file or a URL that is there."
        ) from error
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise HandbookError(f"{path!a} has a name that is no UTF-8.", "Rename it.") from error
    return Source(str(path), "folder" if path.is_dir() else "file")


def _page(url: str) -> str:
    """The URL. Raises HandbookError for what is none of the web, or holds what is not to be kept."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise HandbookError(f"{url[:200]} is no URL: {error}.", "Copy it again.") from error
    if parts.scheme.lower() not in ("http", "https"):
        raise HandbookError(f"{url[:200]} is no page of the web.", "Name a URL of http or https, or a path.")
    if "@" in parts.netloc:
        raise HandbookError(
            "The URL holds a name or a password, which would be kept and shown.",
            "Save the page from your browser, and ingest the file.",
        )
    return url


def plan(
    sources: Sequence[Source],
    known: Mapping[str, Known],
    pages: Path,
    left_out: Collection[str] = (),
    get: Callable[[str], Page] = fetch,
    tell: Callable[[int], None] = lambda looked: None,
) -> Plan:
    """Look at all sources.

    Args:
        known: what the corpus has, by document.
        pages: folder in which fetched pages are kept until they are read.
        left_out: documents that a person took out of the corpus.
        tell: is told how many documents were looked at; what it raises ends the look.
    """
    look = _Look(known, set(left_out), tell)
    look.files([source for source in sources if source.kind != "page"])
    look.pages([source.name for source in sources if source.kind == "page"], pages, get)
    return Plan(
        new=sum(todo.source not in known for todo in look.todo),
        changed=sum(todo.source in known for todo in look.todo),
        same=look.same,
        gone=tuple(look.gone),
        batches=tuple(batches(look.todo)),
        seen=look.seen,
        faults=look.faults,
        broken=tuple(look.broken),
        skipped=str(look.skipped),
        lines=tuple(look.skipped.lines),
    )


class _Look:
    """A plan in the making; fields are the plan's."""

    def __init__(self, known: Mapping[str, Known], left_out: set[str], tell: Callable[[int], None]) -> None:
        self._known, self._left_out, self._tell = known, left_out, tell
        self._looked = 0
        self.skipped = Skipped()
        self.todo: list[Todo] = []
        self.same = 0
        self.gone: list[str] = []
        self.seen: dict[str, Seen] = {}
        self.faults: dict[str, tuple[str, str]] = {}
        self.broken: list[str] = []

    def files(self, sources: Sequence[Source]) -> None:
        origins: dict[str, str] = {}  # document -> source, of the first that has it
        found: list[File] = []
        whole: set[str] = set()  # sources of which all is known
        for source in sources:
            mine = self._walked(source)
            if mine is not None:
                whole.add(source.name)
                for file in mine:
                    if (
                        file.path not in self._left_out
                        and origins.setdefault(file.path, source.name) == source.name
                    ):
                        found.append(file)
        before = {name: one.seen for name, one in self._known.items() if "://" not in name}
        looked = changes(self._told(found), before)
        read = {*looked.new, *looked.changed}
        for file in found:
            if file.path in read:
                self.todo.append(Todo(file.path, file.path, origins[file.path], looked.seen[file.path]))
        self.same += len(looked.same)
        self.seen.update(
            (name, looked.seen[name]) for name in looked.same if looked.seen[name] != before[name]
        )
        for name, reason in looked.faults.items():
            self._unreadable(name, origins[name], reason)
        self.gone += [
            name for name in looked.gone if self._known[name].origin in whole and self._is_gone(name)
        ]

    def _walked(self, source: Source) -> list[File] | None:
        """The documents of a folder, or the one that a file is. None where nobody can say."""
        try:
            found = []
            for file in walk(source.name, self.skipped):
                self._tell(self._looked)  # a large folder takes a while, and it may be that nobody wants it
                found.append(file)
        except HandbookError as error:
            if source.kind == "file" and _standing(source.name) is False:
                return []
            self.broken.append(str(error))
            return None
        if (
            source.kind == "folder"
            and not found
            and any(one.origin == source.name for one in self._known.values())
        ):
            self.broken.append(
                f"{source.name}: there is no document in it now. What is indexed of it stays, since a disk "
                "that is missing looks the same; remove the folder from the corpus if it is meant."
            )
            return None
        return found

    def _is_gone(self, name: str) -> bool:
        """Whether a document that was not met is no more, or is one no longer."""
        if any(name.startswith(folder.rstrip(os.sep) + os.sep) for folder in self.skipped.unread):
            return False
        return _standing(name) is not None

    def pages(self, urls: Sequence[str], folder: Path, get: Callable[[str], Page]) -> None:
        for url in urls:
            self._tell(self._looked)
            self._looked += 1
            try:
                page = get(url)
            except HandbookError as error:
                self._unreadable(url, url, str(error))
                continue
            seen = Seen(hashlib.sha256(page.data).hexdigest(), len(page.data))
            if url in self._known and self._known[url].seen.digest == seen.digest:
                self.same += 1
                continue
            path = folder / seen.digest
            with clear_disk_errors(str(folder)):
                folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(page.data)
            self.todo.append(Todo(url, str(path), url, seen, page.media))

    def _unreadable(self, name: str, origin: str, reason: str) -> None:
        if name in self._known and self._known[name].seen.digest:
            self.broken.append(f"{name}: {reason} What is indexed of it stays.")
        else:
            self.faults[name] = (origin, reason)

    def _told(self, files: Iterable[File]) -> Iterator[File]:
        for file in files:
            self._tell(self._looked)
            self._looked += 1
            yield file


def batches(todo: Iterable[Todo]) -> Iterator[tuple[Todo, ...]]:
    """In order, in parts of a limited size; a document that is larger is one alone."""
    batch: list[Todo] = []
    size = 0
    for one in todo:
        if batch and (size + one.seen.size > BATCH_BYTES or len(batch) == BATCH_DOCUMENTS):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(one)
        size += one.seen.size
    if batch:
        yield tuple(batch)


def _standing(path: str) -> bool | None:
    """Whether there is something at a path; None where that can't be told."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    return True


def write_plan(path: Path, made: Plan) -> None:
    """Keep a plan: a line for what is said of it, then a line a batch. There whole, or not at all."""
    head = {**{name: getattr(made, name) for name in _PLAIN}, "batches": len(made.batches)}
    head["faults"] = {name: list(fault) for name, fault in made.faults.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    with clear_disk_errors(str(path.parent)):
        with beside.open("w", encoding="utf-8") as file:
            for line in (head, *([asdict(todo) for todo in batch] for batch in made.batches)):
                file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)


def read_head(path: Path) -> dict[str, Any]:
    """What `write_plan` kept, without the batches but for their number."""
    with path.open(encoding="utf-8") as file:
        head: dict[str, Any] = json.loads(file.readline())
    return head


def read_batches(path: Path, first: int = 0) -> Generator[tuple[Todo, ...], None, None]:
    """The batches of a kept plan, from number `first` on."""
    with path.open(encoding="utf-8") as file:
        file.readline()
        for number, line in enumerate(file):
            if number >= first:
                yield tuple(Todo(**{**one, "seen": Seen(**one["seen"])}) for one in json.loads(line))


_PLAIN = ("new", "changed", "same", "gone", "broken", "skipped", "lines", "bytes")
