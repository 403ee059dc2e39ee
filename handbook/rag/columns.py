"""Rows as a Lance table holds them, and back.

`body` is what the full text is made of and what is embedded: the titles above a chunk, then the chunk.
`place` is the chunk's number in its document. `record` is all of the row but its text, as JSON, and where the
chunk begins in its body (`lead`): each column that a search brings is read on its own, which takes half a
millisecond among a million rows, and a row has fifteen. What can be filtered by is a column as well; of a
row's own fields `word_author` or `number_year`, made when the first row brings it. Documents name their
fields as they like, so names that are no plain words, and those past the first 64, have no column.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handbook.rag.filters import NUMBER, WORD, sound
from handbook.rag.nouns import Row

Vectors = NDArray[np.float32]

MOST_FIELDS = 64
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TEXTS = ("id", "document", "kind", "language", "title", "digest", "body", "record")
_NUMBERS = ("start", "end", "page", "parent_start", "parent_end", "place")
SHOWN = ("id", "body", "record")  # columns that make a Row


def body(row: Row) -> str:
    """What is embedded and searched of a row: its titles, then its text."""
    return lead(row) + row.text


def lead(row: Row) -> str:
    """The titles above a chunk, ". " after them; a heading that only says the title again is left out."""
    titles = dict.fromkeys(title for title in (row.title, *row.headings) if title)
    return " / ".join(titles) + ". " if titles else ""


def schema(dimension: int, about: Mapping[str, str]) -> Any:
    """The columns of an empty corpus. about: kept with them, in the open."""
    import pyarrow as pa

    return pa.schema(
        [
            *(pa.field(name, pa.string()) for name in _TEXTS),
            *(pa.field(name, pa.int64()) for name in _NUMBERS),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
        ],
        metadata=dict(about),
    )


def create(db: Any, name: str, dimension: int, about: Mapping[str, str]) -> Any:
    """An empty corpus in a database, with its full text and what filters are fast by."""
    from lancedb.index import FTS, Bitmap, BTree

    table = db.create_table(name, schema=schema(dimension, about))
    table.create_index("body", config=FTS())
    for column in ("id", "document"):
        table.create_index(column, config=BTree())
    for column in ("kind", "language"):
        table.create_index(column, config=Bitmap())
    return table


def index_fields(table: Any) -> None:
    """Make filters on the rows' own fields fast, where they are not yet."""
    from lancedb.index import BTree

    have = {column for index in table.list_indices() for column in index.columns}
    for column in table.schema.names:
        if column.startswith((WORD, NUMBER)) and column not in have:
            table.create_index(column, config=BTree())


def missing(rows: Iterable[Row], have: Sequence[str]) -> Any:
    """The schema of the field columns that these rows need and a table with columns `have` lacks."""
    import pyarrow as pa

    room = MOST_FIELDS - sum(name.startswith((WORD, NUMBER)) for name in have)
    wanted = dict.fromkeys(column for row in rows for column, _ in _fields(row))
    new = [column for column in wanted if column not in have][: max(0, room)]
    kinds = {True: pa.string(), False: pa.float64()}
    return pa.schema([pa.field(column, kinds[column.startswith(WORD)]) for column in new])


def table(rows: Sequence[Row], places: Sequence[int], vectors: Vectors, schema: Any) -> Any:
    """Rows and their vectors as Arrow, in the columns of `schema`. places: number of each in its document."""
    import pyarrow as pa

    leads = [lead(row) for row in rows]
    columns: dict[str, list[Any]] = {
        "id": [sound(row.id) for row in rows],
        "document": [sound(row.document) for row in rows],
        "kind": [row.kind for row in rows],
        "language": [row.language for row in rows],
        "title": [_plain(row.title) for row in rows],
        "digest": [row.digest for row in rows],
        "body": [_plain(above + row.text) for above, row in zip(leads, rows, strict=True)],
        "start": [row.start for row in rows],
        "end": [row.end for row in rows],
        "page": [row.page for row in rows],
        "place": list(places),
        "parent_start": [row.parent[0] if row.parent else None for row in rows],
        "parent_end": [row.parent[1] if row.parent else None for row in rows],
        "record": [_record(row, len(above)) for above, row in zip(leads, rows, strict=True)],
    }
    own = [dict(_fields(row)) for row in rows]
    arrays = []
    for field in schema:
        if field.name == "vector":
            arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]))
        elif field.name in columns:
            arrays.append(pa.array(columns[field.name], field.type))
        else:
            arrays.append(pa.array([fields.get(field.name) for fields in own], field.type))
    return pa.table(arrays, schema=schema)


def row(record: Mapping[str, Any], tenant: str) -> Row:
    """A record of the table as what it was made of."""
    kept = json.loads(record["record"])
    lead, parent = kept.pop("lead"), kept.pop("parent")
    return Row(
        **kept | {"headings": tuple(kept["headings"])},
        id=record["id"],
        text=record["body"][lead:],
        parent=parent and (parent[0], parent[1]),
        tenant=tenant,
    )


def _record(row: Row, lead: int) -> str:
    """All of a row but its id, text and tenant, and how long the titles before its text are."""
    kept = {
        "document": sound(row.document),
        "start": row.start,
        "end": row.end,
        "title": _plain(row.title),
        "headings": [_plain(title) for title in row.headings],
        "parent": row.parent,
        "page": row.page,
        "kind": row.kind,
        "language": row.language,
        "digest": row.digest,
        "fields": dict(row.fields),
        "lead": lead,
    }
    return json.dumps(kept, separators=(",", ":"))


def unit(vectors: Any, count: int, dimension: int) -> Vectors:  # [count, dimension]
    """The vectors, each of length 1.

    Raises ValueError for another shape, and for a vector that is zero or not finite (it would be near to
    nothing, or to all).
    """
    found = np.ascontiguousarray(vectors, np.float32)
    if not count and not found.size:
        found = found.reshape(0, dimension)
    if found.shape != (count, dimension):
        raise ValueError(f"expected vectors of shape {(count, dimension)}, got {found.shape}")
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if len(bad):
        raise ValueError(f"expected vectors with a direction, got length {lengths[bad[0], 0]} (row {bad[0]})")
    units: Vectors = found / lengths
    return units


def _fields(row: Row) -> list[tuple[str, str | float]]:
    """(column, value) of each field that can be filtered by."""
    found: list[tuple[str, str | float]] = []
    for name, value in row.fields.items():
        low = name.lower()
        if not _NAME.fullmatch(low):
            continue
        if isinstance(value, str):
            found.append((WORD + low, _plain(value)))
        elif math.isfinite(value):
            found.append((NUMBER + low, float(value)))
    return found


def _plain(text: str) -> str:
    """Without lone surrogates, and as long as it was."""
    return text.encode("utf-8", "replace").decode("utf-8")
