"""An ingestion as steps, each of which may be done twice.

    plan     what the sources hold now against what is known (`planning`), kept in a file
    batch    parse and chunk in workers, embed, write to the index, write down what became of each document
    remove   documents that are no more
    finish   few files, indexes up to date, the words counted

A batch replaces its documents whole, so a step that was cut off anywhere is simply done again. Nothing here
knows how steps are remembered: that is `jobs`.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import numpy as np

from handbook.database.corpora import key_of
from handbook.errors import HandbookError
from handbook.rag import chunk as chunking
from handbook.rag.columns import body
from handbook.rag.corpora import TENANT, Corpora
from handbook.rag.documents import Seen
from handbook.rag.fetch import Page, fetch
from handbook.rag.nouns import Row
from handbook.rag.planning import Plan, Source, Todo, plan, read_batches, read_head, write_plan
from handbook.rag.prepare import Cutting, Prepared, Task, counting
from handbook.rag.workers import Outcome, parse_all

PREPARE = "handbook.rag.prepare:perform"
EACH = 12  # documents that make another worker worth its start
TIDY = 16  # batches between looks whether the index wants to be compacted
LINES = 200  # of faults that are told of; all of them are in the list of documents

T = TypeVar("T")
Get = Callable[[str], Page]
Prepare = Callable[..., Generator[Outcome[Prepared], None, None]]


class Stopped(Exception):
    """Somebody wants the ingestion to stop."""


class Reporter:
    """Where an ingestion tells how far it is, and hears whether it is to stop.

    Args:
        write: keeps what is told; returns 'stop' where that is wished. Called every `often` seconds at most.
        counts: of what was done before, when an ingestion goes on.
    """

    def __init__(
        self, write: Callable[[Mapping[str, Any]], str] = lambda said: "", often: float = 0.3
    ) -> None:
        self._write = write
        self._often = often
        self._last = 0.0
        self._begun = time.monotonic()
        self.before = 0.0  # seconds that it took before it went on
        self.closing = False
        self.said: dict[str, Any] = {"stage": "", "done": 0, "total": None, "note": ""}
        self.counts: dict[str, int] = {}
        self.faults: list[str] = []

    def tell(self, now: bool = False, **said: Any) -> None:
        """Another stage is told at once. Raises Stopped."""
        now = now or said.get("stage", self.said["stage"]) != self.said["stage"]
        self.said.update(said)
        if self.closing:
            raise Stopped
        if now or time.monotonic() - self._last >= self._often:
            self._last = time.monotonic()
            if self._write(self.whole()) == "stop":
                raise Stopped

    def whole(self) -> dict[str, Any]:
        seconds = self.before + time.monotonic() - self._begun
        return {**self.said, "counts": dict(self.counts), "faults": list(self.faults), "seconds": seconds}

    def count(self, counts: Mapping[str, int], faults: Sequence[str] = ()) -> None:
        for name, number in counts.items():
            self.counts[name] = self.counts.get(name, 0) + number
        self.faults += faults[: max(0, LINES - len(self.faults))]


class Run:
    """One ingestion of a corpus. Steps return what has to be remembered of them: small, and JSON.

    Args:
        id: names the files that it keeps while it lasts.
        sources: what it looks at; None for all that the corpus has.
        get: fetches a page.
        prepare: parses and cuts (`workers.parse_all`, on so many workers).
    """

    def __init__(
        self,
        corpora: Corpora,
        id: str,
        name: str,
        sources: Sequence[str] | None = None,
        report: Reporter | None = None,
        get: Get = fetch,
        workers: int | None = None,
        prepare: Prepare = parse_all,
    ) -> None:
        self.id, self.name = id, name
        self.report = report or Reporter()
        self.skipped = ""
        self._corpora = corpora
        self._sources = sources
        self._get = get
        self._workers = workers
        self._prepare = prepare
        self._path = corpora.jobs / f"{id}.plan"
        self._pages = corpora.jobs / f"{id}.pages"
        self._head: dict[str, Any] = {}
        self._stream: Generator[Outcome[Prepared], None, None] | None = None
        self._at = -1  # the batch that the stream is at
        self._ready: dict[str, Outcome[Prepared]] = {}
        self._batches: tuple[int, Generator[tuple[Todo, ...], None, None]] | None = None  # the next, and on

    def sources(self) -> list[Source]:
        """What it looks at, as the corpus has it."""
        mine = self._corpora.sources(self.name)
        return mine if self._sources is None else [one for one in mine if one.name in set(self._sources)]

    def look(self, sources: Sequence[Source]) -> Plan:
        """What there is to do; nothing is changed but for pages that are fetched and kept."""

        def tell(looked: int) -> None:
            self.report.tell(stage="plan", done=looked, total=None, note="looking at what has changed")

        corpora = self._corpora
        left_out = corpora.left_out(self.name)
        return plan(sources, corpora.known(self.name), self._pages, left_out, self._get, tell)

    def plan(self) -> dict[str, Any]:
        self._corpora.index(self.name)  # raises for another embedder, before anything is done
        made = self.look(self.sources())
        read = {todo.source for batch in made.batches for todo in batch}
        strays = [source for source in self._corpora.strays(self.name) if source not in read]
        made = replace(made, gone=(*made.gone, *strays))
        write_plan(self._path, made)
        catalogue = self._corpora.catalogue
        catalogue.put_seen(self.name, {name: _seen(seen) for name, seen in made.seen.items()})
        unread = [
            _document(Todo(name, name, origin, Seen("")), None, reason, 0.0)
            for name, (origin, reason) in made.faults.items()
        ]
        catalogue.put_documents(self.name, unread)
        return {
            "batches": len(made.batches),
            "bytes": made.bytes,
            "counts": {
                "new": made.new,
                "changed": made.changed,
                "same": made.same,
                "gone": len(made.gone),
                "unreadable": len(made.faults),
            },
            "faults": [*made.broken, *(f"{name}: {reason}" for name, (_, reason) in made.faults.items())][
                :LINES
            ],
            "skipped": made.skipped,
        }

    def planned(self, said: Mapping[str, Any]) -> None:
        """Take over what `plan` returned, now or before a kill."""
        self._head = dict(said)
        self.report.count(said["counts"], said["faults"])
        self.skipped = str(said["skipped"]) and f"left out: {said['skipped']}"
        if said["batches"]:
            self.report.tell(stage="embed", done=0, total=None, note=self.skipped)

    def batch(self, number: int) -> dict[str, Any]:
        self.report.tell(now=True)  # a stop is heard before each batch, however soon it follows the last
        todo = self._todo(number)
        outcomes = self._prepared(number, todo)
        cutting = self._corpora.cutting(self.name)
        rows: list[Row] = []
        documents: list[dict[str, Any]] = []
        empty: list[str] = []
        for one in todo:
            outcome = outcomes[one.source]
            mine = [] if outcome.result is None else self._rows(outcome.result, cutting)
            fault = outcome.fault or ("" if mine else "There is no text in it to search.")
            documents.append(_document(one, outcome.result, fault, outcome.seconds, len(mine)))
            rows += mine
            if not mine:
                empty.append(one.source)
        size = sum(max(one.seen.size, 0) for one in todo)
        vectors = self._embedded(rows, size)
        index = self._corpora.index(self.name)
        if rows:
            index.write(rows, vectors)
        if empty:
            index.delete(empty, TENANT)
        self._corpora.catalogue.put_documents(self.name, documents)
        if number % TIDY == TIDY - 1 and index.crowded(TENANT):
            index.compact(TENANT)
        faults = [f"{one['source']}: {one['fault']}" for one in documents if one["fault"]]
        return {
            "counts": {
                "documents": len(documents),
                "chunks": len(rows),
                "characters": sum(one["characters"] for one in documents),
                "bytes": size,
                "unreadable": len(faults),
                "lossy": sum(bool(one["lost"]) for one in documents),
            },
            "faults": faults[:LINES],
        }

    def counted(self, said: Mapping[str, Any]) -> None:
        """Take over what `batch` returned, now or before a kill."""
        self.report.count(said["counts"], said["faults"])
        done = self.report.counts.get("chunks", 0)
        self.report.tell(stage="embed", done=done, total=self._total(0, 0))

    def remove(self) -> dict[str, Any]:
        self.close()
        gone = self._kept(lambda: read_head(self._path))["gone"]
        if gone:
            self.report.tell(now=True, stage="remove", done=0, total=len(gone))
            self._corpora.index(self.name).delete(gone, TENANT)
            self._corpora.catalogue.remove_documents(self.name, gone)
        return {"removed": len(gone)}

    def finish(self) -> dict[str, Any]:
        changed = self.report.counts.get("documents", 0) or self.report.counts.get("gone", 0)
        if changed:
            self.report.tell(now=True, stage="index", done=0, total=None, note="putting the index in order")
            self._corpora.index(self.name).compact(TENANT)
            self._corpora.vocabulary(self.name)
            self._corpora.catalogue.change_corpus(self.name)
        return {}

    def forget(self) -> None:
        """Remove the files that it kept."""
        self._corpora.forget(self.id)

    def close(self) -> None:
        """End the workers."""
        stream, self._stream, self._at = self._stream, None, -1
        self._ready.clear()
        if self._batches is not None:
            self._batches[1].close()
            self._batches = None
        if stream is not None:
            stream.close()

    def _todo(self, number: int) -> tuple[Todo, ...]:
        held = self._batches
        if held is None or held[0] != number:
            held = number, read_batches(self._path, number)
        todo = self._kept(lambda: next(held[1]))
        self._batches = number + 1, held[1]
        return todo

    def _kept(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
            raise HandbookError(
                f"What this ingestion had planned can't be read any more ({self._path}: {error}).",
                f"Begin another one: `handbook corpora update {self.name}`. Nothing is done twice.",
            ) from error

    def _prepared(self, number: int, todo: Sequence[Todo]) -> dict[str, Outcome[Prepared]]:
        """The documents of a batch, parsed and cut. Workers go on with later ones meanwhile."""
        if self._stream is None or self._at != number:
            self._ready.clear()
            if self._stream is not None:
                self._stream.close()
            cutting = self._corpora.cutting(self.name)
            tasks = (
                Task(one.source, one.path, one.media, cutting)
                for batch in read_batches(self._path, number)
                for one in batch
            )
            left = self._head.get("batches", 1) - number
            few = min(len(todo) // EACH + 1, os.cpu_count() or 1)
            workers = self._workers or (few if left == 1 else None)
            self._stream = self._prepare(tasks, workers, PREPARE, tick=self.report.tell)
        waiting = {one.source for one in todo} - set(self._ready)
        while waiting:
            self.report.tell()
            outcome = next(self._stream)
            self._ready[outcome.source.source] = outcome
            waiting.discard(outcome.source.source)
        self._at = number + 1
        return {one.source: self._ready.pop(one.source) for one in todo}

    def _rows(self, prepared: Prepared, cutting: Cutting) -> list[Row]:
        spans = prepared.spans
        if cutting.method == "semantic":
            sizes = (cutting.limit, cutting.overlap, counting(cutting.tokenizer))
            embed = self._corpora.embedder.embed
            spans = tuple(chunking.chunk(prepared.parsed, "semantic", *sizes, embed, cutting.parent))
        return chunking.rows(prepared.parsed, spans, TENANT)

    def _embedded(self, rows: Sequence[Row], size: int) -> Any:
        before = self.report.counts.get("chunks", 0)

        def tell(done: int) -> None:
            self.report.tell(stage="embed", done=before + done, total=self._total(len(rows), size))

        if not rows:
            return np.zeros((0, self._corpora.embedder.dimension), np.float32)
        return self._corpora.vector_file.vectors([body(row) for row in rows], tell)

    def _total(self, chunks: int, size: int) -> int | None:
        """Chunks that there will be, judged by those so far: these, of documents of so many bytes, and those
        that are done."""
        counts = self.report.counts
        chunks += counts.get("chunks", 0)
        size += counts.get("bytes", 0)
        left = self._head.get("bytes", 0) - size
        return None if not size else round(chunks + max(0, left) * chunks / size)


def _document(
    todo: Todo, prepared: Prepared | None, fault: str, seconds: float, chunks: int = 0
) -> dict[str, Any]:
    """What is written down of a document."""
    parsed = None if prepared is None else prepared.parsed
    seen = todo.seen
    if parsed is not None and parsed.digest != seen.digest:  # it changed since it was looked at
        seen = Seen(parsed.digest)
    return {
        "source": todo.source,
        "origin": key_of(todo.origin),
        "digest": seen.digest,
        "seen": _seen(seen),
        "title": plain(parsed.title if parsed else ""),
        "kind": parsed.kind if parsed else "",
        "language": parsed.language if parsed else "",
        "chunks": chunks,
        "characters": len(parsed.text) if parsed else 0,
        "lost": [plain(line) for line in parsed.lost] if parsed else [],
        "fault": plain(fault),
        "seconds": seconds,
    }


def _seen(seen: Seen) -> dict[str, Any]:
    values = asdict(seen)
    del values["digest"]  # a column of its own
    return values


def plain(text: str) -> str:
    """As every database keeps it: no zeros, no lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
