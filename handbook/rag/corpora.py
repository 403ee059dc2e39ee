"""The reader's own corpora: made, listed, asked, changed and deleted, in the database and on disk together.

    database   which there are, their sources, every document with what was lost of it (`database.corpora`)
    index      the chunks (`rag.index`), in a table that bears an id, so that a corpus can change its name
    folder     what was uploaded, and the words that the corpus has

A corpus is of one embedding model: vectors of two can't be compared. It remembers which, and says so when
another one is set.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import contextlib
import json
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from handbook.database import Database
from handbook.database.corpora import Catalogue, key_of
from handbook.errors import CorpusError, HandbookError
from handbook.rag.chunk import PARENT, SIZE, Method
from handbook.rag.documents import Seen
from handbook.rag.index import Index
from handbook.rag.naming import checked_name as checked_name
from handbook.rag.naming import suggested_name as suggested_name
from handbook.rag.naming import titled
from handbook.rag.planning import Known, Source, named
from handbook.rag.prepare import Cutting
from handbook.rag.published import Version
from handbook.rag.query.lexicon import Lexicon
from handbook.rag.reader import Reader
from handbook.rag.store import Store, clear_disk_errors
from handbook.rag.vectors import VectorFile
from handbook.settings import Settings

if TYPE_CHECKING:
    from handbook.embed import Embedder

TENANT = "local"  # whose rows they are: of the person at this machine
_OWN = ("name", "title", "model", "dimension", "created", "changed")
_GRAVE = "~"  # begins the name of a corpus of which something is still to be removed from disk


@dataclass(frozen=True, slots=True)
class About:
    """A corpus at a glance. faults: documents of which nothing could be read. fault: why it can't be asked
    now, '' where it can."""

    name: str
    title: str
    model: str
    dimension: int
    method: Method
    limit: int
    created: datetime
    changed: datetime
    documents: int
    chunks: int
    characters: int
    faults: int
    sources: tuple[Source, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A document of a corpus. origin: the source that brought it. lost: in words, what could not be read of
    it; fault: why nothing could. at: when it was ingested, which took `seconds` to parse and chunk."""

    source: str
    title: str
    kind: str
    language: str
    chunks: int
    characters: int
    lost: tuple[str, ...]
    fault: str
    seconds: float
    at: datetime
    digest: str
    origin: str


class Corpora:
    """All corpora of a data folder. Threads may share one; so may processes, each with its own.

    Args:
        embedder: what texts are embedded with; loaded when it is first needed.
    """

    def __init__(self, settings: Settings, database: Database, embedder: "Embedder") -> None:
        self.settings = settings
        self.embedder = embedder
        self.catalogue = Catalogue(database)
        self.vector_file = VectorFile(settings.data / "vectors", embedder)
        self._store = Store(settings.store, settings.data / "index.lock")
        self._indexes: dict[str, Index] = {}
        self._lexicons: dict[str, tuple[int, Lexicon]] = {}
        self._lock = threading.Lock()

    # Which there are

    def all(self) -> list[About]:
        """By name."""
        return [self._about(row) for row in self.catalogue.corpora() if not row["name"].startswith(_GRAVE)]

    def about(self, name: str) -> About:
        """Raises CorpusError where there is none of this name."""
        return self._about(self._row(name))

    def documents(self, name: str) -> list[Item]:
        """By source."""
        self._row(name)
        return self._items(name, self.catalogue.documents(name))

    def listed(self, name: str, first: int, count: int, report: bool = False) -> list[Item]:
        """Some of the documents, by source. report: of those alone that were not read, or not all of them."""
        self._row(name)
        return self._items(name, self.catalogue.listed(name, first, count, report))

    def _items(self, name: str, rows: Sequence[Mapping[str, Any]]) -> list[Item]:
        origins = {row["key"]: row["source"] for row in self.catalogue.sources(name)}
        found = []
        for row in rows:
            values = {field: row[field] for field in Item.__slots__}
            values["lost"] = tuple(values["lost"])
            values["origin"] = origins.get(row["origin"], "")
            found.append(Item(**values))
        return found

    def create(
        self, name: str, title: str = "", method: Method = "markdown", limit: int = SIZE, overlap: int = 0
    ) -> About:
        """An empty corpus.

        Args:
            method, limit, overlap: how documents are cut, for good (`rag.chunk`).
        Raises CorpusError for a name that is taken or can't be one, and what the embedder raises where it is
        not on this machine.
        """
        self._sweep()
        checked_name(name)
        if method not in get_args(Method):
            raise CorpusError(
                f"Expected a method of {', '.join(get_args(Method))}, got {method!r}.", "Choose one of them."
            )
        if not (20 <= limit <= 2000 and 0 <= overlap < limit):
            raise CorpusError(
                f"Expected chunks of 20 to 2000 tokens that overlap by fewer, got {limit} and {overlap}.",
                f"{SIZE} and 0 are good for most texts.",
            )
        settings = {
            "index": f"{name}-{uuid.uuid4().hex[:8]}",
            "method": method,
            "limit": limit,
            "overlap": overlap,
            "parent": max(PARENT, limit),
            "left_out": [],
        }
        added = self.catalogue.add_corpus(
            name=name,
            title=titled(title) or name,
            model=self.embedder.name,
            dimension=self.embedder.dimension,
            settings=settings,
        )
        if not added:
            raise CorpusError(f"There is a corpus {name!r} already.", "Choose another name, or add to it.")
        return self.about(name)

    def rename(self, name: str, new: str) -> None:
        """Raises CorpusError where the new name is taken or can't be one, and while one is ingested."""
        self._row(name)
        checked_name(new)
        with self.quiet(name), self.quiet(new):
            if not self.catalogue.rename_corpus(name, new):
                raise CorpusError(f"There is a corpus {new!r} already.", "Choose another name.")

    def entitle(self, name: str, title: str) -> None:
        """Change the title."""
        self._row(name)
        self.catalogue.change_corpus(name, title=titled(title) or name)

    def delete(self, name: str) -> None:
        """All of it: rows, index, what was uploaded, pages that were fetched, what was answered from it.
        Nobody sees half of it: it is gone from the list at once, and what a kill leaves on disk goes with the
        next deletion or creation."""
        row = self._row(name)
        with self.quiet(name):
            for one in self.catalogue.ingestions(name, limit=None):
                self.forget(one["id"])
            self.catalogue.bury_corpus(name, _GRAVE + str(row["settings"]["index"]))
        self._sweep()

    def _sweep(self) -> None:
        """Remove from disk what belongs to deleted corpora."""
        for row in self.catalogue.corpora():
            if row["name"].startswith(_GRAVE):
                id = str(row["settings"]["index"])
                Index(self._store, id, row["dimension"], row["model"]).drop(TENANT)
                shutil.rmtree(self._folder(id), ignore_errors=True)
                self.catalogue.forget_corpus(row["name"])

    # What they are made of

    def sources(self, name: str) -> list[Source]:
        return [Source(row["source"], row["kind"]) for row in self.catalogue.sources(name)]

    def known(self, name: str) -> dict[str, Known]:
        """What is known of each document, for the next look. What the list and the index don't agree on
        (a process was killed between the two, or the index was lost) counts as never seen."""
        held = self._opened(self._row(name)).documents(TENANT)
        origins = {row["key"]: row["source"] for row in self.catalogue.sources(name)}
        found = {}
        for source, origin, digest, seen, chunks in self.catalogue.known(name):
            sound = not chunks or held.get(source) == digest
            was = Seen(**{"digest": digest, **seen}) if sound else Seen("")
            found[source] = Known(origins.get(origin, ""), was)
        return found

    def strays(self, name: str) -> list[str]:
        """Documents that the index holds and the list does not."""
        listed = {source for source, *_ in self.catalogue.known(name)}
        return [source for source in self._opened(self._row(name)).documents(TENANT) if source not in listed]

    def left_out(self, name: str) -> set[str]:
        """Documents that were taken out, and are not taken in again by an update."""
        return set(self._row(name)["settings"].get("left_out", ()))

    def take_in(self, name: str, sources: Sequence[Source]) -> None:
        """Remember sources; what was left out of the corpus and is named now comes in again."""
        row = self._row(name)
        names = {source.name for source in sources}
        if names & set(row["settings"].get("left_out", ())):
            kept = [one for one in row["settings"]["left_out"] if one not in names]
            self.catalogue.change_corpus(name, settings={**row["settings"], "left_out": kept})
        self.catalogue.add_sources(name, [(source.name, source.kind) for source in sources])

    def remove(self, name: str, sources: Sequence[str]) -> int:
        """Take out sources with all their documents, or single documents, which no update takes in again.
        Returns how many documents went. Raises CorpusError, before anything is done, where one is neither.
        """
        row = self._row(name)
        known = self.known(name)
        mine = {source.name for source in self.sources(name)}
        given = [_spelled(source, mine | set(known)) for source in sources]
        if unknown := [source for source in given if source not in mine and source not in known]:
            raise CorpusError(
                f"The corpus {name!r} has no source or document {', '.join(unknown)}.",
                f"`handbook corpora show {name}` lists them.",
            )
        chosen, uploads = set(given), self.uploads(name)
        gone = [source for source, one in known.items() if source in chosen or one.origin in chosen]
        with self.quiet(name):
            for source in gone:
                if uploads in Path(source).parents:
                    Path(source).unlink(missing_ok=True)
            if str(uploads) in chosen:  # also what was not read yet
                shutil.rmtree(uploads, ignore_errors=True)
            self._opened(row).delete(gone, TENANT)
            self.catalogue.remove_documents(name, gone)
            self.catalogue.remove_sources(name, chosen & mine)
            # A copy of a file that was sent is gone: who sends it again wants it.
            single = [one for one in given if one not in mine and uploads not in Path(one).parents]
            left_out = list(dict.fromkeys([*row["settings"].get("left_out", ()), *single]))
            self.catalogue.change_corpus(name, settings={**row["settings"], "left_out": left_out})
        return len(gone)

    def anew(self, name: str) -> None:
        """Empty a corpus, for the embedding model that is set now; its sources stay, to be ingested again."""
        row = self._row(name)
        known = list(self.known(name))
        with self.quiet(name):
            self.catalogue.remove_documents(name, known)
            Index(self._store, row["settings"]["index"], row["dimension"], row["model"]).drop(TENANT)
            with self._lock:
                self._indexes.pop(name, None)
            (self._folder(row["settings"]["index"]) / "tokenizer.json").unlink(missing_ok=True)
            self.catalogue.change_corpus(name, model=self.embedder.name, dimension=self.embedder.dimension)

    def retry(self, name: str) -> None:
        """Have the next update read again what could not be read, though it did not change."""
        self._row(name)
        self.catalogue.forget_faults(name)

    def uploads(self, name: str) -> Path:
        """Folder for files that were uploaded into a corpus; it goes with the corpus."""
        return self._folder(str(self._row(name)["settings"]["index"])) / "uploads"

    def cutting(self, name: str) -> Cutting:
        """How documents of a corpus are cut. Writes the embedder's tokenizer to where workers can read it."""
        settings = self._row(name)["settings"]
        tokenizer = getattr(self.embedder, "tokenizer", None)
        path = self._folder(str(settings["index"])) / "tokenizer.json"
        if tokenizer is not None and not path.exists():
            beside = path.with_name(f"{uuid.uuid4().hex}.part")
            with clear_disk_errors(str(path.parent)):
                path.parent.mkdir(parents=True, exist_ok=True)
                beside.write_text(tokenizer().to_str(), encoding="utf-8")
                beside.replace(path)
        sizes = {field: settings[field] for field in ("method", "limit", "overlap", "parent")}
        return Cutting(**sizes, tokenizer="" if tokenizer is None else str(path))

    # Asking and writing

    def reader(self, name: str) -> Reader:
        """The corpus, to be asked. Raises CorpusError where it is of another embedding model."""
        return self.index(name)

    def index(self, name: str) -> Index:
        """The corpus, to be written. Raises CorpusError where it is of another embedding model."""
        row = self._row(name)
        if fault := self._unfit(row):
            raise CorpusError(*fault)
        return self._opened(row)

    def _opened(self, row: Mapping[str, Any]) -> Index:
        name, id = row["name"], str(row["settings"]["index"])
        with self._lock:
            held = self._indexes.get(name)
            if held is None or (held.name, held.model) != (id, row["model"]):
                held = self._indexes[name] = Index(self._store, id, row["dimension"], row["model"])
            return held

    def vocabulary(self, name: str) -> Lexicon:
        """The words of a corpus. Counted when an ingestion ends, and kept; else now, which takes seconds for
        a large one."""
        index = self._opened(self._row(name))
        live = next((version.number for version in index.versions(TENANT) if version.live), 0)
        held = self._lexicons.get(index.name)
        if held is None or held[0] != live:
            held = self._lexicons[index.name] = live, self._counted(index, live)
        return held[1]

    def _counted(self, index: Index, live: int) -> Lexicon:
        path = self._folder(index.name) / "words.json"
        found = read_lexicon(path, live)
        if found is None:
            found = Lexicon.of(index.texts(TENANT))
            with contextlib.suppress(OSError):  # without it, it is counted again
                write_lexicon(path, live, found)
        return found

    def versions(self, name: str) -> list[Version]:
        """What the corpus was and can be again, the newest first."""
        return self._opened(self._row(name)).versions(TENANT)

    def rollback(self, name: str, version: int) -> None:
        """Make the corpus what it was. The next update looks at everything again, and takes in what changed
        since. Raises HandbookError where there is no such version."""
        with self.quiet(name):
            self._opened(self._row(name)).rollback(version, TENANT)
            self.reconcile(name)

    def reconcile(self, name: str) -> None:
        """Make the list of documents say what the index holds; what it holds of another state is looked at
        again by the next update."""
        index = self._opened(self._row(name))
        held = index.documents(TENANT)
        rows = {row["source"]: row for row in self.catalogue.documents(name)}
        gone = [source for source, row in rows.items() if row["chunks"] and source not in held]
        self.catalogue.remove_documents(name, gone)
        other = [source for source, digest in held.items() if rows.get(source, {}).get("digest") != digest]
        found, sources = [], self.sources(name)
        for source, (title, kind, language, chunks, characters) in index.summaries(other, TENANT).items():
            origin = rows[source]["origin"] if source in rows else key_of(_origin(source, sources))
            values: dict[str, Any] = {"title": title, "kind": kind, "language": language, "chunks": chunks}
            values |= {"characters": characters, "lost": [], "fault": "", "seconds": 0.0, "seen": {}}
            found.append({"source": source, "origin": origin, "digest": held[source], **values})
        self.catalogue.put_documents(name, found)
        self.catalogue.change_corpus(name)

    # Locks and places

    @contextlib.contextmanager
    def quiet(self, name: str) -> Iterator[None]:
        """Hold a corpus against ingestions. Raises CorpusError where one is running, here or elsewhere."""
        import filelock

        lock = self.lock(name)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise CorpusError(
                f"The corpus {name!r} is being ingested.", "Stop that first, or wait until it is done."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def lock(self, name: str) -> Any:
        """Whose holder changes the corpus; one process at a time."""
        return self.file_lock(f"corpus-{name}")

    def file_lock(self, name: str) -> Any:
        import filelock

        folder = self.jobs
        with clear_disk_errors(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(folder / f"{name}.lock", thread_local=False)

    @property
    def jobs(self) -> Path:
        """Folder of what ingestions keep while they run."""
        return self.settings.data / "ingestions"

    def forget(self, id: str) -> None:
        """Remove the files that an ingestion kept."""
        (self.jobs / f"{id}.plan").unlink(missing_ok=True)
        shutil.rmtree(self.jobs / f"{id}.pages", ignore_errors=True)

    def _folder(self, id: str) -> Path:
        return self.settings.data / "corpora" / id

    def _row(self, name: str) -> dict[str, Any]:
        row = self.catalogue.corpus(name)
        if row is None or name.startswith(_GRAVE):
            names = ", ".join(
                about["name"] for about in self.catalogue.corpora() if about["name"][0] != _GRAVE
            )
            raise CorpusError(
                f"There is no corpus {name!r}.",
                f"There are: {names}." if names else "`handbook ingest FOLDER` makes one.",
            )
        return row

    def _about(self, row: Mapping[str, Any]) -> About:
        own = {field: row[field] for field in _OWN} | self.catalogue.totals(row["name"])
        fault = self._unfit(row)
        return About(
            **own,
            method=row["settings"]["method"],
            limit=row["settings"]["limit"],
            sources=tuple(self.sources(row["name"])),
            fault=" ".join(fault) if fault else "",
        )

    def _unfit(self, row: Mapping[str, Any]) -> tuple[str, str] | None:
        """Why a corpus can't be asked with this embedder, and what to do."""
        if row["model"] == self.embedder.name:
            return None
        return (
            f"The corpus {row['name']!r} was made with the embedding model {row['model']}, and "
            f"{self.embedder.name} is set.",
            f"Set HANDBOOK_EMBEDDER={row['model']}, or make it anew with this one: "
            f"`handbook corpora update {row['name']} --anew`.",
        )


def _origin(document: str, sources: Sequence[Source]) -> str:
    """The source that brings a document: itself, or the folder that it lies in; '' where none does."""
    path = Path(document)
    inside = (one.name for one in sources if one.name == document or Path(one.name) in path.parents)
    return next(inside, "")


def _spelled(text: str, names: set[str]) -> str:
    """A source as the corpus calls it, where it was given otherwise: relative, or with a link in it."""
    if text in names:
        return text
    with contextlib.suppress(HandbookError):
        return named(text).name
    return str(Path(text).expanduser().absolute())


def read_lexicon(path: Path, version: int) -> Lexicon | None:
    """What `write_lexicon` kept of this version of an index; None where that is not to be had."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Lexicon(kept["frequency"], kept["size"]) if kept["version"] == version else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_lexicon(path: Path, version: int, found: Lexicon) -> None:
    kept = {"version": version, "size": found.size, "frequency": dict(found.frequency)}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{uuid.uuid4().hex}.part")
    beside.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    beside.replace(path)
