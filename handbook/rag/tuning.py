"""Which vector index a corpus has, and how far a search goes in it: chosen by measuring.

Small corpora are compared whole: exact, and fast enough. From EXACT rows on vectors lie in cells around
k-means centres. Each is kept as one bit a dimension (IVF_RQ: Gao and Long 2024, "RaBitQ: Quantizing
High-Dimensional Vectors with a Theoretical Error Bound for Approximate Nearest Neighbor Search", SIGMOD), and
the candidates that look near are compared again by their full vectors; or as one byte a dimension in a graph
(HNSW_SQ: Malkov and Yashunin 2020, TPAMI), faster to search and larger in memory. `handbook.rag.nearest` has
each of them to be read.

How many cells a search opens decides what it finds. After an index is made, some of the corpus's own vectors
are looked for with more and more cells, until the share of the true nearest that comes back (recall) is
enough; the number is kept with the table.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Kind = Literal["exact", "ivf_rq", "hnsw_sq"]

EXACT = 20_000  # rows; below, all are compared
FEW = 500  # rows that meet a condition; up to so many are compared whole
CELL = 1_000  # rows of a cell, about
GRAPH = 100_000  # rows of a graph, about: few graphs, as each is walked from its start
TARGET = 0.97  # share of the true 10 nearest; some above what is wanted, as questions are not passages
NEAREST = 10
SAMPLE = 200  # vectors that are looked for
REFINE = 16  # candidates for each of ten that are asked for, compared again by their full vectors, ...
LEAST = 5  # ... and for each where many are
EFFORTS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256)  # cells, or places kept on a walk of a graph in tens
_KEY = "tuning"


@dataclass(frozen=True, slots=True)
class Tuning:
    """effort: cells that a search opens; in graphs, tens of places that a walk keeps. recall: what the sample
    found with it, of the true 10 nearest. rows: how many there were."""

    kind: Kind = "exact"
    effort: int = 0
    recall: float = 1.0
    rows: int = 0


def of(table: Any) -> Tuning:
    """What was chosen for a table; versions have their own."""
    metadata = table.schema.field("vector").metadata or {}
    found = metadata.get(_KEY.encode())
    return Tuning(**json.loads(found)) if found else Tuning()


def keep(table: Any, tuning: Tuning) -> None:
    table.update_field_metadata({"path": "vector", "metadata": {_KEY: json.dumps(asdict(tuning))}})


def choose(rows: int) -> Kind:
    return "exact" if rows < EXACT else "ivf_rq"


def outgrown(tuning: Tuning, rows: int) -> bool:
    """Whether a table of so many rows wants its vector index made anew, or a first one."""
    return choose(rows) != "exact" and rows >= 2 * tuning.rows


def cells(kind: Kind, rows: int) -> int:
    return max(1, round(rows / (CELL if kind == "ivf_rq" else GRAPH)))


def build(table: Any, kind: Kind, target: float = TARGET) -> Tuning:
    """Make the vector index anew, measure it and keep the effort that it takes. Minutes for a million."""
    from lancedb.index import HnswSq, IvfRq

    for index in table.list_indices():
        if index.columns == ["vector"]:
            table.drop_index(index.name)
    rows = table.count_rows()
    if kind == "exact" or not rows:
        tuning = Tuning(rows=rows)
    else:
        parts = cells(kind, rows)
        config = (
            IvfRq(distance_type="cosine", num_partitions=parts, sample_rate=64)
            if kind == "ivf_rq"
            else HnswSq(
                distance_type="cosine", num_partitions=parts, sample_rate=64, m=16, ef_construction=150
            )
        )
        table.create_index("vector", config=config)
        tuning = measured(table, kind, rows, target)
    keep(table, tuning)
    return tuning


def tuned(
    query: Any, tuning: Tuning, limit: int, matching: int | None = None, everywhere: bool = False
) -> Any:
    """A search of the vector index, with what was chosen for it.

    Args:
        limit: how many are asked for.
        matching: rows that meet its condition, None where it has none. The fewer they are the further apart,
            so that more cells are opened: by the root of how many times fewer.
        everywhere: in as many cells as it takes until enough are found.
    """
    wider = 1.0 if matching is None else (max(tuning.rows, matching) / max(matching, 1)) ** 0.5
    if tuning.kind == "exact" or (matching is not None and matching <= FEW):
        return query.bypass_vector_index()
    effort = round(tuning.effort * wider)
    if tuning.kind == "hnsw_sq":
        parts = cells("hnsw_sq", tuning.rows)
        return query.nprobes(parts).ef(10 * effort).refine_factor(2)
    query = query.minimum_nprobes(min(effort, cells("ivf_rq", tuning.rows)))
    refine = max(min(REFINE, LEAST), REFINE * NEAREST // limit)
    return query.maximum_nprobes(0 if everywhere else effort).refine_factor(refine)


def measured(table: Any, kind: Kind, rows: int, target: float) -> Tuning:
    """The least effort that reaches `target`, or the greatest there is."""
    queries, true = sample(table, rows)
    tuning = Tuning(kind, rows=rows, recall=0.0)
    for effort in EFFORTS:
        tuning = Tuning(kind, effort, recall(table, Tuning(kind, effort, 0.0, rows), queries, true), rows)
        if tuning.recall >= target or (kind == "ivf_rq" and effort >= cells(kind, rows)):
            break
    return tuning


def recall(table: Any, tuning: Tuning, queries: Vectors, true: Sequence[frozenset[str]]) -> float:
    """The share of the true nearest that a search brings; the vector itself is not counted."""
    found = 0
    for query, nearest in zip(queries, true, strict=True):
        search = tuned(table.search(query).distance_type("cosine"), tuning, NEAREST)
        ids = search.limit(NEAREST + 1).select(["id", "_distance"]).to_arrow()["id"].to_pylist()
        found += len(nearest & set(ids))
    return found / sum(map(len, true))


def sample(table: Any, rows: int) -> tuple[Vectors, list[frozenset[str]]]:
    """Some of the table's vectors, [S, D], and the ids of the 10 nearest to each but itself, exactly.

    Reads the table twice in batches of bounded memory: once for the vectors, once to compare all with them.
    """
    places = np.linspace(0, rows - 1, min(SAMPLE, rows)).astype(int).tolist()
    taken = table.take_offsets(places).select(["vector"]).to_arrow()
    queries = _matrix(taken["vector"].combine_chunks())
    best = np.full((len(queries), NEAREST + 1), -2.0, np.float32)
    ids = np.full((len(queries), NEAREST + 1), "", object)
    for batch in table.search().select(["id", "vector"]).limit(rows).to_batches(8192):
        names = np.array(batch["id"].to_pylist(), object)
        cosines = np.concatenate([best, queries @ _matrix(batch["vector"]).T], axis=1)
        among = np.argpartition(-cosines, NEAREST, axis=1)[:, : NEAREST + 1]
        all_ids = np.concatenate([ids, np.broadcast_to(names, (len(queries), len(names)))], axis=1)
        best = np.take_along_axis(cosines, among, axis=1)
        ids = np.take_along_axis(all_ids, among, axis=1)
    order = np.argsort(-best, axis=1)[:, 1:]  # the first is itself, or its double
    return queries, [frozenset(row) - {""} for row in np.take_along_axis(ids, order, axis=1).tolist()]


def _matrix(column: Any) -> Vectors:  # [N, D]
    values: Vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
    return values
