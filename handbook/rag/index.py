"""Stage 4, index: chunks with their vectors in LanceDB, found by meaning, by words and by filters.

    columns    rows as a table holds them
    published  what readers see while a writer works; versions, and the way back
    filters    conditions -> SQL
    tuning     which vector index, and how far a search goes in it

Each tenant of a corpus has a table of its own. A filter on a tenant could be forgotten, and even where it is
not, BM25 would weigh one tenant's words by what others have written, going back a version would take all
along, and what one had deleted would stay in versions that the others need. So who asks is an argument of
every method, and it chooses the table; there is nothing that reads two.

One process writes at a time, any number read (`Published`). A document is replaced whole: readers see it as
it was or as it is, and where there is no room, or the writer is killed, as it was.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from handbook.rag import columns, filters, tuning
from handbook.rag.nouns import Row
from handbook.rag.published import optimise
from handbook.rag.reader import Reader, Vectors, batches
from handbook.rag.tuning import Kind, Tuning

UNINDEXED = 5_000  # rows that searches may have to look through beside the indexes, ...
SHARE = 20  # ... or this part of all: compacting writes the corpus anew, so the more there is the rarer
FRAGMENTS = 24  # files that a table may be in, and one more for each UNINDEXED rows


class Index(Reader):
    """A corpus that is written: `Reader` says how it is opened and asked."""

    def write(self, rows: Sequence[Row], vectors: Any) -> None:
        """Whole documents, of one tenant or several: what the index held of each goes, `rows` come in its
        place, seen by readers at once (tenant by tenant).

        Args:
            vectors: one a row, [N, dimension]; kept at length 1.

        Raises:
            ValueError: vectors of another shape, or without direction; an id twice.
            DiskFull: no room, and nothing changed. HandbookError: the corpus is of another model; ...
        """
        units = columns.unit(vectors, len(rows), self.dimension)
        places = sorted(range(len(rows)), key=lambda place: rows[place].tenant)
        for tenant, group in groupby(places, key=lambda place: rows[place].tenant):
            chosen = list(group)
            mine = [rows[place] for place in chosen]
            self._replace({row.document for row in mine}, mine, units[chosen], tenant)

    def replace(self, document: str, rows: Sequence[Row], vectors: Any, tenant: str) -> None:
        """One document; with no rows it is deleted. Raises what `write` does, and ValueError
        where a row is of another document or tenant."""
        if any((row.document, row.tenant) != (document, tenant) for row in rows):
            raise ValueError(f"expected rows of {document!r} of tenant {tenant!r} only")
        self._replace({document}, rows, columns.unit(vectors, len(rows), self.dimension), tenant)

    def delete(self, documents: Iterable[str], tenant: str) -> None:
        """Documents that are not there are no fault."""
        self._replace(set(documents), [], np.zeros((0, self.dimension), np.float32), tenant)

    def _replace(self, documents: set[str], rows: Sequence[Row], units: Vectors, tenant: str) -> None:
        if len({row.id for row in rows}) != len(rows):
            raise ValueError("expected each id once, got one twice")
        if not documents or not (rows or self.count(tenant)):
            return
        numbers = dict.fromkeys(documents, -1)
        places = []
        order = sorted(range(len(rows)), key=lambda place: (rows[place].document, rows[place].start))
        for place in order:
            numbers[rows[place].document] += 1
            places.append(numbers[rows[place].document])
        ordered = [rows[place] for place in order]
        with self._table(tenant).writing() as table:
            self._check(table)
            for some in batches(sorted(documents)):
                table.delete(f"document IN ({', '.join(map(filters.literal, some))})")
            if rows:
                new = columns.missing(ordered, table.schema.names)
                if len(new):
                    table.add_columns(new)
                table.add(columns.table(ordered, places, units[order], table.schema))

    def optimise(self, kind: Kind | None, tenant: str) -> Tuning:
        """Make the vector index anew, of this kind, or with None of the kind that the size asks for (exact
        search below tuning.EXACT rows), and bring all others up to date. Takes minutes for a million rows."""
        with self._table(tenant).writing() as table:
            optimise(table)
            columns.index_fields(table)
            return tuning.build(table, kind or tuning.choose(table.count_rows()))

    def compact(self, tenant: str) -> None:
        """Few files in place of many, indexes up to date, old versions gone (`published.thinned`), and what
        writers left that had no room. A vector index is made, or made anew, where the corpus has outgrown
        what it has: twice the rows."""
        held = self._table(tenant)
        with held.writing() as table:
            columns.index_fields(table)
            held.compact(table)
            rows, have = table.count_rows(), tuning.of(table)
            if tuning.outgrown(have, rows):
                tuning.build(table, "ivf_rq" if have.kind == "exact" else have.kind)

    def crowded(self, tenant: str) -> bool:
        """Whether `compact` would pay. It does so rarely while a corpus grows; call `compact` when a large
        ingestion ends."""

        def ask(table: Any) -> bool:
            rows, have = table.count_rows(), tuning.of(table)
            behind = max((index.num_unindexed_rows or 0 for index in table.list_indices()), default=0)
            files = table.stats()["fragment_stats"]["num_fragments"]
            many = behind > max(UNINDEXED, rows // SHARE) or files > FRAGMENTS + rows // UNINDEXED
            return bool(many or tuning.outgrown(have, rows))

        return self._read(ask, False, tenant)

    def texts(self, tenant: str) -> Iterator[str]:
        """What is searched of each row, titles and text, in no order."""

        def ask(table: Any) -> Any:
            return table.search().select(["body"]).limit(None).to_batches()

        found: Iterable[Any] = self._read(ask, (), tenant)
        for batch in found:
            yield from batch.column("body").to_pylist()

    def summaries(self, documents: Sequence[str], tenant: str) -> dict[str, tuple[str, str, str, int, int]]:
        """Title, kind, language, chunks and characters (to the end of the last chunk) of some documents."""
        found: dict[str, tuple[str, str, str, int, int]] = {}
        shown = ("document", "title", "kind", "language", "end")
        for one in self._having("document", documents, shown, tenant):
            chunks, end = found.get(one["document"], ("", "", "", 0, 0))[3:]
            said = (one["title"], one["kind"], one["language"])
            found[one["document"]] = (*said, chunks + 1, max(end, one["end"]))
        return found

    def rollback(self, version: int, tenant: str) -> None:
        """Make a version of the past the newest one. Raises HandbookError where there is no such version."""
        self._table(tenant).rollback(version)

    def drop(self, tenant: str) -> None:
        """Delete all of a tenant's rows, with all versions."""
        self._table(tenant).drop()
