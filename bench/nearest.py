"""Recall against latency: exact search, IVF, HNSW, PQ and RaBitQ as written here, beside LanceDB's indexes.

The indexes of `handbook.rag.nearest` are NumPy and Python, to be read; LanceDB is what the app uses. Both get
the same vectors and queries, one query at a time; microseconds are medians. Vectors are clouds
(`handbook.rag.nearest.clouds`), or with --vectors and --queries what two .npy files hold (float32, [N, D]);
with --vectors alone its last ones are the queries. LanceDB uses all cores, and a query of it takes some
milliseconds whatever it finds: at this size that is the call, not the index. HNSW and the codes show what
they are for in `compared` and in `bytes`.

    handbook bench nearest [--count 10000] [--queries-count 200] [--dimension 384] [--k 10]
        [--vectors FILE [--queries FILE]] [--no-lance] [--json]
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from handbook.rag.nearest import exact
from handbook.rag.nearest.clouds import clouds
from handbook.rag.nearest.curve import Point, cheapest, curve, timed

Tune = Callable[[Any], Any]  # a query of LanceDB -> the same with its settings

PROBES = (1, 2, 4, 8, 16, 32)
WIDTHS = (10, 20, 40, 80, 160)
REFINE = 10
TARGET = 0.95  # the recall at which indexes are compared


def read(options: argparse.Namespace) -> tuple[exact.Vectors, exact.Vectors]:
    """Vectors and queries. Raises SystemExit with a sentence where the files don't hold them."""
    if options.vectors is None:
        return clouds(options.count, options.queries_count, options.dimension)
    vectors = matrix(options.vectors)
    if options.queries is None:
        vectors, queries = vectors[: -options.queries_count], vectors[-options.queries_count :]
    else:
        queries = matrix(options.queries)
    if not len(vectors) or not len(queries) or vectors.shape[1] != queries.shape[1]:
        raise SystemExit(
            f"expected vectors and queries of one dimension, got {vectors.shape}, {queries.shape}"
        )
    return vectors, queries


def matrix(path: Path) -> exact.Vectors:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path} cannot be read as a NumPy file: {error}") from error
    if found.ndim != 2 or not np.isfinite(found).all():
        raise SystemExit(f"{path} should hold finite numbers, [N, D], and holds {found.shape}.")
    return np.ascontiguousarray(found, np.float32)


PROBED: dict[str, Tune] = {
    f"{p} probes, refine {REFINE}": lambda query, p=p: query.nprobes(p).refine_factor(REFINE) for p in PROBES
}
WALKED: dict[str, Tune] = {
    f"width {w}": lambda query, w=w: query.nprobes(1).ef(w).refine_factor(1) for w in WIDTHS
}


def lance_points(vectors: exact.Vectors, queries: exact.Vectors, k: int) -> Iterator[Point]:
    """The same measures of LanceDB's indexes. Bytes are those of the index's files; how many vectors LanceDB
    compares it does not tell, so compared is NaN."""
    import lancedb
    import pyarrow as pa
    from lancedb.index import HnswSq, IvfPq, IvfRq

    count, dimension = vectors.shape
    true = exact.search_many(queries, vectors, k)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension)
    rows = pa.table({"id": np.arange(count), "vector": column})
    cells = max(1, round(count**0.5))
    with tempfile.TemporaryDirectory() as folder:
        table = lancedb.connect(folder).create_table("t", rows)

        def point(name: str, setting: str, tune: Tune, size: float, build: float) -> Point:
            def search(query: exact.Vectors) -> exact.Ids:
                asked = tune(table.search(query).distance_type("l2")).limit(k)
                return np.asarray(asked.select(["id", "_distance"]).to_arrow()["id"].to_numpy())

            for query in queries[:20]:
                search(query)  # what it reads of the index stays in memory
            found, microseconds = timed(search, queries, k)
            rate = exact.recall(found, true)
            return Point(name, setting, rate, float("nan"), microseconds, size / count, build)

        yield point("Lance exact", "all", lambda query: query.bypass_vector_index(), vectors.nbytes, 0.0)
        kinds: list[tuple[str, Any, dict[str, Tune]]] = [
            ("Lance IVF_PQ", IvfPq(num_partitions=cells), PROBED),
            ("Lance IVF_RQ", IvfRq(num_partitions=cells), PROBED),
            ("Lance HNSW_SQ", HnswSq(num_partitions=1, m=16, ef_construction=100), WALKED),
        ]
        for name, config, settings in kinds:
            begin = perf_counter()
            table.create_index("vector", config=config, replace=True)
            build = perf_counter() - begin
            newest = max(Path(folder).glob("**/_indices/*"), key=lambda path: path.stat().st_mtime)
            size = sum(path.stat().st_size for path in newest.rglob("*") if path.is_file())
            for setting, tune in settings.items():
                yield point(name, setting, tune, size, build)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench nearest", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="how many vectors")
    parser.add_argument("--queries-count", type=int, default=200, help="how many queries")
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--vectors", type=Path, help="a .npy file in place of clouds")
    parser.add_argument("--queries", type=Path, help="a .npy file of queries")
    parser.add_argument("--no-lance", action="store_true", help="ours only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    for name in ("count", "queries_count", "dimension", "k"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} should be at least 1")
    vectors, queries = read(options)
    points = curve(vectors, queries, options.k)
    if not options.no_lance:
        points += lance_points(vectors, queries, options.k)
    if options.json:
        from handbook.hardware.probe import probe

        found = {
            "schema": "handbook.bench.nearest/1",
            "vectors": len(vectors),
            "queries": len(queries),
            "dimension": vectors.shape[1],
            "k": options.k,
            "points": [
                {**asdict(p), "compared": None if np.isnan(p.compared) else p.compared} for p in points
            ],
            "machine": probe().label,
            "date": date.today().isoformat(),
        }
        print(json.dumps(found, indent=2))
        return 0
    print(f"{len(vectors):,} vectors of {vectors.shape[1]} dimensions, {len(queries)} queries")
    print(f"{'index':18} {'setting':24} recall@{options.k:<3} compared     us  bytes  build s")
    for p in points:
        print(
            f"{p.index:18} {p.setting:24} {p.recall:9.3f} {p.compared:9.0f} {p.microseconds:7.0f} "
            f"{p.bytes:6.0f} {p.build:8.1f}"
        )
    print(f"\nthe fastest setting that reaches {TARGET}:")
    for p in cheapest(points, TARGET, by="microseconds").values():
        print(f"{p.index:18} {p.setting:24} {p.recall:9.3f} {p.compared:9.0f} {p.microseconds:7.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
