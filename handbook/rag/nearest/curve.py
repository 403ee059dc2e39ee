"""Recall against work: what each index finds, and how much it looks at to find it, at each of its settings.

Two measures of work, because they tell different things. `compared` is the number of full vectors that a
query was compared with: it belongs to the algorithm. Microseconds belong to the algorithm and to this code:
NumPy takes a thousand distances in one call, while the graph's walk runs in Python, a few at a time, so here
HNSW is slow for what it compares. In a compiled index it is not.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from handbook.rag.nearest import exact
from handbook.rag.nearest.coded import Coded, Products, Signs
from handbook.rag.nearest.exact import Ids, Neighbours, Vectors
from handbook.rag.nearest.hnsw import HNSW
from handbook.rag.nearest.ivf import IVF

Search = Callable[[Vectors], Neighbours]


@dataclass(frozen=True)
class Point:
    """An index at one setting. recall: of the k true neighbours. compared: full vectors, on average.
    microseconds: a query, the median. bytes: memory a vector; those that are read in full for a few only
    (coded indexes) aside. build: seconds."""

    index: str
    setting: str
    recall: float
    compared: float
    microseconds: float
    bytes: float
    build: float


@dataclass(frozen=True)
class Built:
    """An index and its searches, by setting."""

    name: str
    searches: Sequence[tuple[str, Search]]
    bytes: int
    build: float


def timed(search: Callable[[Vectors], Ids], queries: Vectors, k: int) -> tuple[Ids, float]:
    """What a search finds for each query, -1 where it found fewer than k, and the median microseconds."""
    found = np.full((len(queries), k), -1, np.int64)
    seconds = []
    for row, query in enumerate(queries):
        begin = perf_counter()
        ids = search(query)
        seconds.append(perf_counter() - begin)
        found[row, : len(ids)] = ids
    return found, statistics.median(seconds) * 1e6


def indexes(vectors: Vectors, k: int, links: int = 16, width: int = 100) -> Iterator[Built]:
    """Each index over the vectors, built as it is asked for, with the settings to try.

    Cells: the square root of N. Product codes have a byte for eight dimensions, as long as RaBitQ's.
    """
    count, dimension = vectors.shape

    def built(
        name: str, make: Callable[[], IVF | HNSW | Coded], settings: Sequence[tuple[str, dict[str, int]]]
    ) -> Built:
        begin = perf_counter()
        index = make()
        seconds = perf_counter() - begin

        def searching(options: dict[str, int]) -> Search:
            return lambda query: index.search(query, k, **options)

        return Built(name, [(label, searching(o)) for label, o in settings], index.bytes, seconds)

    cells = round(count**0.5)
    probes = [number for number in (1, 2, 4, 8, 16, 32, 64) if number <= cells]
    yield Built("exact", [("all", lambda query: exact.search(query, vectors, k))], vectors.nbytes, 0.0)
    yield built("IVF", lambda: IVF(vectors), [(f"{p} probes", {"probes": p}) for p in probes])
    yield built(
        "HNSW",
        lambda: HNSW(vectors, links, width),
        [(f"width {w}", {"width": w}) for w in (10, 20, 40, 80, 160)],
    )
    parts = next(part for part in range(max(1, dimension // 8), 0, -1) if dimension % part == 0)
    products = Products(parts, min(256, count))
    yield built(
        "IVF + PQ",
        lambda: Coded(vectors, products),
        [(f"{p} probes, refine {r}", {"probes": p, "refine": r}) for r in (1, 5) for p in probes],
    )
    yield built(
        "IVF + RaBitQ",
        lambda: Coded(vectors, Signs(dimension)),
        [(f"{p} probes, by bound", {"probes": p}) for p in probes],
    )


def curve(vectors: Vectors, queries: Vectors, k: int = 10, links: int = 16, width: int = 100) -> list[Point]:
    """Every index at every setting, over the same vectors and queries. links, width: of HNSW, whose building
    takes nearly all of the time."""
    true = exact.search_many(queries, vectors, k)
    points = []
    for index in indexes(vectors, k, links, width):
        for setting, search in index.searches:
            work: list[int] = []

            def ids(query: Vectors, search: Search = search, work: list[int] = work) -> Ids:
                found = search(query)
                work.append(found.compared)
                return found.ids

            found, microseconds = timed(ids, queries, k)
            points.append(
                Point(
                    index.name,
                    setting,
                    exact.recall(found, true),
                    statistics.mean(work),
                    microseconds,
                    index.bytes / len(vectors),
                    index.build,
                )
            )
    return points


def cheapest(points: Sequence[Point], recall: float, by: str = "compared") -> dict[str, Point]:
    """For each index the setting that reaches a recall with the least work; indexes that never do are left
    out. by: "compared" or "microseconds"."""
    best: dict[str, Point] = {}
    for point in points:
        if point.recall >= recall and (
            point.index not in best or getattr(point, by) < getattr(best[point.index], by)
        ):
            best[point.index] = point
    return best
