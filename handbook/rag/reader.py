"""A corpus as it is asked: by meaning, by words, by id, by place in a document.

Each tenant of a corpus has a table of its own. A filter on a tenant could be forgotten, and even where it is
not, BM25 would weigh one tenant's words by what others have written, going back a version would take all
along, and what one had deleted would stay in versions that the others need. So who asks is an argument of
every method, and it chooses the table; there is nothing that reads two.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handbook.errors import HandbookError
from handbook.rag import columns, filters, tuning
from handbook.rag.columns import SHOWN
from handbook.rag.nouns import Condition, Found, Row
from handbook.rag.published import Published, Version
from handbook.rag.store import Store
from handbook.rag.text import words
from handbook.rag.tuning import Tuning

T = TypeVar("T")
Vectors = NDArray[np.float32]

BATCH = 500  # values that are asked for at once
MOST_WORDS = 200  # of a text that is looked for; more would cost time and change little


class Reader:
    """A corpus: all its tenants' rows.

    Threads may share one.

    Args:
        store: the database. Tables have locks of their own beside its lock.
        name: of the corpus.
        dimension: of the vectors.
        model: what made them. A corpus is opened with the model that it was written with.
    """

    def __init__(self, store: Store, name: str, dimension: int, model: str = "") -> None:
        self.name = name
        self.dimension = dimension
        self.model = model
        self._store = store
        self._tables: dict[str, Published] = {}
        self._lock = threading.Lock()

    def dense(self, vector: Any, limit: int, conditions: Sequence[Condition], tenant: str) -> list[Found]:
        """The rows nearest in meaning, with their cosines, best first.

        Exact in a small corpus and among few rows that meet the conditions; else as exact as was measured
        when the vector index was made (`optimise`).

        Raises HandbookError for conditions that the corpus can't meet, ValueError for a vector of another
        dimension.
        """
        query = columns.unit(np.reshape(vector, (1, -1)), 1, self.dimension)[0]

        def ask(table: Any) -> list[Found]:
            where = self._where(table, conditions)
            matching = table.count_rows(where) if where else None

            def nearest(everywhere: bool) -> list[dict[str, Any]]:
                search = table.search(query).distance_type("cosine")
                if where:
                    search = search.where(where, prefilter=True)
                search = tuning.tuned(search, tuning.of(table), limit, matching, everywhere)
                rows: list[dict[str, Any]] = (
                    search.limit(limit).select([*SHOWN, "_distance"]).to_arrow().to_pylist()
                )
                return rows

            found = nearest(everywhere=False)
            if matching is not None and len(found) < min(limit, matching):
                found = nearest(everywhere=True)  # what meets the conditions lies in cells far from here
            hits = [(columns.row(one, tenant), 1.0 - one["_distance"]) for one in found]
            return [Found(row, cosine, dense=cosine) for row, cosine in hits]

        return self._read(ask, [], tenant) if limit > 0 else []

    def lexical(self, text: str, limit: int, conditions: Sequence[Condition], tenant: str) -> list[Found]:
        """The rows that have any of the words, with their BM25, best first."""
        from lancedb.query import MatchQuery

        wanted = words(text)[:MOST_WORDS]  # one that is said twice counts twice, as BM25 has it

        def ask(table: Any) -> list[Found]:
            where = self._where(table, conditions)
            search = table.search(MatchQuery(" ".join(wanted), "body"), query_type="fts")
            if where:
                search = search.where(where, prefilter=True)
            found = search.limit(limit).select([*SHOWN, "_score"]).to_arrow().to_pylist()
            return [Found(columns.row(one, tenant), one["_score"], lexical=one["_score"]) for one in found]

        return self._read(ask, [], tenant) if wanted and limit > 0 else []

    def get(self, ids: Sequence[str], tenant: str) -> list[Row]:
        """Rows by id, in the order asked; one that is not there is left out."""
        found = {one["id"]: columns.row(one, tenant) for one in self._having("id", ids, SHOWN, tenant)}
        return [found[id] for id in dict.fromkeys(map(filters.sound, ids)) if id in found]

    def vectors(self, ids: Sequence[str], tenant: str) -> dict[str, Vectors]:
        """The vectors, [D], of rows that are there."""
        found = self._having("id", ids, ("id", "vector"), tenant)
        return {one["id"]: np.array(one["vector"], np.float32) for one in found}

    def neighbours(self, id: str, n: int, tenant: str) -> list[Row]:
        """A row with up to n before and n after it in its document, in order. Empty without such a row."""
        return self.around([id], n, tenant).get(id, [])

    def around(self, ids: Sequence[str], n: int, tenant: str) -> dict[str, list[Row]]:
        """The neighbours of each of some rows that are there."""
        centres = {
            one["id"]: (one["document"], one["place"])
            for one in self._having("id", ids, ("id", "document", "place"), tenant)
        }
        near = {
            (document, other)
            for document, place in centres.values()
            for other in range(place - n, place + n + 1)
        }
        spans = [
            f"(document = {filters.literal(document)} AND place >= {place - n} AND place <= {place + n})"
            for document, place in sorted(set(centres.values()))
        ]
        rows = {key: row for key, row in self._placed(spans, tenant) if key in near}
        return {
            id: [
                rows[document, other]
                for other in range(place - n, place + n + 1)
                if (document, other) in rows
            ]
            for id, (document, place) in centres.items()
        }

    def family(self, id: str, tenant: str) -> list[Row]:
        """The rows that have the same parent as a row, it among them, in order; it alone where it has none.
        Empty without such a row."""
        rows = self.get([id], tenant)
        return self.families(rows, tenant)[id] if rows else []

    def families(self, rows: Sequence[Row], tenant: str) -> dict[str, list[Row]]:
        """The family of each of some rows, by its id."""
        parents = {(row.document, row.parent) for row in rows if row.parent is not None}
        spans = [
            f"(document = {filters.literal(document)} AND parent_start = {start} AND parent_end = {end})"
            for document, (start, end) in sorted(parents)
        ]
        found: dict[tuple[str, tuple[int, int] | None], list[Row]] = {}
        for _, row in self._placed(spans, tenant):
            found.setdefault((row.document, row.parent), []).append(row)
        return {row.id: found.get((row.document, row.parent), [row]) for row in rows}

    def documents(self, tenant: str) -> dict[str, str]:
        """Each document with its content hash: what an incremental ingestion compares with."""

        def ask(table: Any) -> dict[str, str]:
            found = table.search().where("place = 0").select(["document", "digest"]).limit(None).to_arrow()
            return dict(zip(found["document"].to_pylist(), found["digest"].to_pylist(), strict=True))

        return self._read(ask, {}, tenant)

    def fields(self, tenant: str) -> list[str]:
        """What conditions can be about."""
        return self._read(lambda table: sorted(filters.names(table.schema.names)), [], tenant)

    def count(self, tenant: str) -> int:
        """How many rows there are."""
        return self._read(lambda table: int(table.count_rows()), 0, tenant)

    def tuning(self, tenant: str) -> Tuning:
        """Which vector index there is."""
        return self._read(tuning.of, Tuning(), tenant)

    def versions(self, tenant: str) -> list[Version]:
        """What the corpus was and can be again, the newest first."""
        return self._table(tenant).versions()

    def _table(self, tenant: str) -> Published:
        with self._lock:
            if tenant not in self._tables:
                name = table_name(self.name, tenant)
                about = {"corpus": self.name, "tenant": tenant, "model": self.model}
                create = partial(columns.create, name=name, dimension=self.dimension, about=about)
                self._tables[tenant] = Published(self._store.part(name), name, create)
            return self._tables[tenant]

    def _check(self, table: Any) -> None:
        """Raises HandbookError where the table's vectors are not comparable with ours."""
        dimension = table.schema.field("vector").type.list_size
        model = (table.schema.metadata or {}).get(b"model", b"").decode()
        if (dimension, model) != (self.dimension, self.model):
            raise HandbookError(
                f"The corpus {self.name!r} has vectors of {model or 'some model'} with {dimension} "
                f"dimensions, not of {self.model or 'some model'} with {self.dimension}.",
                "Open it with that embedding model, or delete it and ingest its documents again.",
            )

    def _read(self, ask: Callable[[Any], T], otherwise: T, tenant: str) -> T:
        def checked(table: Any) -> T:
            self._check(table)
            return ask(table)

        return self._table(tenant).read(checked, otherwise)

    def _where(self, table: Any, conditions: Sequence[Condition]) -> str:
        return filters.sql(conditions, filters.names(table.schema.names)) if conditions else ""

    def _placed(self, spans: Sequence[str], tenant: str) -> list[tuple[tuple[str, int], Row]]:
        """Rows of some places, ((document, number in it), row), in that order."""
        found = []
        for some in batches(spans, 50):
            found += self._records(" OR ".join(some), (*SHOWN, "document", "place"), tenant)
        found.sort(key=lambda one: (one["document"], one["place"]))
        return [((one["document"], one["place"]), columns.row(one, tenant)) for one in found]

    def _having(
        self, column: str, values: Sequence[str], shown: Sequence[str], tenant: str
    ) -> Iterator[dict[str, Any]]:
        """Records whose column is one of the values."""
        for some in batches(values):
            where = f"{column} IN ({', '.join(map(filters.literal, some))})"
            yield from self._records(where, shown, tenant)

    def _records(self, where: str, shown: Sequence[str], tenant: str) -> list[dict[str, Any]]:
        def ask(table: Any) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (
                table.search().where(where).select(list(shown)).limit(None).to_arrow().to_pylist()
            )
            return found

        return self._read(ask, [], tenant)


def table_name(corpus: str, tenant: str) -> str:
    """A name that a file system takes, and no other corpus and tenant have."""
    tag = hashlib.sha256(f"{corpus}\0{tenant}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    slug = re.sub(r"[^a-z0-9]+", "-", corpus.lower()).strip("-")[:40]
    return f"corpus-{slug}-{tag}" if slug else f"corpus-{tag}"


def batches(values: Sequence[str], size: int = BATCH) -> Iterator[Sequence[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))
