"""A corpus of a million chunks on one machine: time to build, memory, and how fast and how right it is asked.

Everything goes through `handbook.rag.index`, as the app does: rows are written in batches of whole documents,
then the indexes are made; a fresh process asks, one question at a time, and gets whole rows back. Vectors are
clouds (`handbook.rag.nearest.clouds`: unit vectors that are about as hard as embeddings), or the float32 rows
of a .npy file, of which the last ones are the questions; recall counts how many of the true ten nearest come
back, found by comparing all. Texts are --words words each, drawn by Zipf's law from 50,000; questions have
four of the rarer ones. Each row has a field with one of a hundred values: the filter takes one of them.

Building is timed with what it does: making Arrow of rows, writing, full text, vector index and measuring its
recall. Resident memory is the process's own, at its highest while building, and after all questions while
asking.

    handbook bench vectors [--count 100000] [--questions 200] [--kind ivf_rq] [--target 0.97] [--folder DIR]
        [--vectors FILE] [--words 60] [--rounds 3] [--json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from handbook.rag.nouns import Condition, Row
from handbook.rag.store import Store

BATCH = 20_000
PER_DOCUMENT = 10
VOCABULARY = 50_000
PARTS = 100  # values of the field that is filtered by
DEPTH = 30  # rows that each retriever of a hybrid search brings
NEAREST = 10
FILTER = Condition("part", (7,))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench vectors", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000, help="how many chunks")
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--kind", choices=("auto", "exact", "ivf_rq", "hnsw_sq"), default="auto")
    parser.add_argument("--target", type=float, help="recall at which the index is set")
    parser.add_argument("--words", type=int, default=60, help="of a chunk")
    parser.add_argument("--rounds", type=int, default=3, help="how often all questions are asked")
    parser.add_argument("--vectors", type=Path, help="a .npy file in place of clouds")
    parser.add_argument("--folder", type=Path, help="where the corpus is written and stays")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--phase", choices=("build", "ask"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    for name in ("count", "questions", "dimension", "words", "rounds"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} should be at least 1")
    if options.phase:
        print(json.dumps({"build": build, "ask": ask}[options.phase](options)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        options.folder = options.folder or Path(folder)
        options.folder.mkdir(parents=True, exist_ok=True)
        found = measured(options)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    return 0


def measured(options: argparse.Namespace) -> dict[str, Any]:
    from handbook.hardware.probe import probe

    made = prepare(options)
    found: dict[str, Any] = {"schema": "handbook.bench.vectors/1", **made}
    for phase in ("build", "ask"):
        command = [sys.executable, __file__, "--phase", phase]
        for name in ("dimension", "questions", "kind", "words", "rounds", "folder"):
            command += [f"--{name}", str(getattr(options, name))]
        command += ["--count", str(made["chunks"])]
        if options.target is not None:
            command += ["--target", str(options.target)]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[phase] = json.loads(ended.stdout)
    return {**found, "machine": probe().label, "date": date.today().isoformat()}


def prepare(options: argparse.Namespace) -> dict[str, Any]:
    """Vectors, questions and the true nearest to them, among all and among those that meet the filter."""
    from handbook.rag.nearest.clouds import clouds

    folder = options.folder
    if options.vectors is None:
        vectors, queries = clouds(options.count, options.questions, options.dimension)
    else:
        vectors = np.load(options.vectors, mmap_mode="r", allow_pickle=False).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors, queries = vectors[: -options.questions], vectors[-options.questions :]
        options.dimension = vectors.shape[1]
    best = {"all": (np.zeros((len(queries), 0)), np.zeros((len(queries), 0), np.int64))}
    best["filtered"] = best["all"]
    for start in range(0, len(vectors), BATCH):
        block = queries @ vectors[start : start + BATCH].T
        places = np.arange(start, start + block.shape[1])
        kept = {"all": slice(None), "filtered": places % PARTS == FILTER.any_of[0]}
        for name, chosen in kept.items():
            cosines = np.concatenate([best[name][0], block[:, chosen]], axis=1)
            ids = np.concatenate(
                [best[name][1], np.broadcast_to(places[chosen], (len(queries), len(places[chosen])))], axis=1
            )
            order = np.argsort(-cosines, axis=1)[:, :NEAREST]
            best[name] = np.take_along_axis(cosines, order, 1), np.take_along_axis(ids, order, 1)
    vectors.tofile(folder / "vectors.f32")
    np.save(folder / "queries.npy", queries)
    np.save(folder / "true.npy", np.stack([best["all"][1], best["filtered"][1]]))
    source = "clouds" if options.vectors is None else options.vectors.name
    return {
        "chunks": len(vectors),
        "dimension": options.dimension,
        "questions": len(queries),
        "vectors": source,
    }


def words(draw: np.random.Generator, count: int, length: int, rarer: int = 1) -> list[str]:
    """Texts of words by Zipf's law: the n-th as often as 1 / n. rarer: leaves out the most frequent ones."""
    ranks = np.exp(draw.uniform(np.log(rarer), np.log(VOCABULARY), size=(count, length))).astype(int)
    return [" ".join([f"w{rank}" for rank in row]) for row in ranks.tolist()]


def batches(options: argparse.Namespace) -> Iterator[tuple[list[Row], Any]]:
    draw = np.random.default_rng(1)
    with (options.folder / "vectors.f32").open("rb") as file:
        for start in range(0, options.count, BATCH):
            count = min(BATCH, options.count - start)
            vectors = np.fromfile(file, np.float32, count * options.dimension).reshape(count, -1)
            yield (
                [
                    Row(
                        str(i),
                        f"document-{i // PER_DOCUMENT}",
                        text,
                        1000 * (i % PER_DOCUMENT),
                        1000 * (i % PER_DOCUMENT) + len(text),
                        kind="text",
                        language="en",
                        digest=str(i // PER_DOCUMENT),
                        fields={"part": i % PARTS},
                    )
                    for i, text in enumerate(words(draw, count, options.words), start)
                ],
                vectors,
            )


def opened(options: argparse.Namespace) -> Any:
    from handbook.rag.index import Index

    store = Store(str(options.folder / "index"), options.folder / "index.lock")
    return Index(store, "bench", options.dimension)


def build(options: argparse.Namespace) -> dict[str, Any]:
    from handbook.rag import tuning
    from handbook.rag.published import optimise

    if options.target is not None:
        tuning.TARGET = options.target
    index = opened(options)
    index.drop("")
    seconds = {"write": 0.0}
    for rows, vectors in batches(options):
        begin = perf_counter()
        index.write(rows, vectors)
        seconds["write"] += perf_counter() - begin
    written = peak()
    begin = perf_counter()
    with index._table("").writing() as table:
        optimise(table)
    seconds["files and full text"] = perf_counter() - begin
    begin = perf_counter()
    chosen = index.optimise(None if options.kind == "auto" else options.kind, "")
    seconds["vector index, measured"] = perf_counter() - begin
    files = (path.stat().st_size for path in (options.folder / "index").rglob("*") if path.is_file())
    return {
        "seconds": seconds,
        "total_seconds": sum(seconds.values()),
        "peak_mib": peak(),
        "peak_mib_after_writing": written,
        "disk_mib": sum(files) / 2**20,
        "kind": chosen.kind,
        "effort": chosen.effort,
        "recall_of_sample": chosen.recall,
    }


def ask(options: argparse.Namespace) -> dict[str, Any]:
    import psutil

    from handbook.rag.search import Retriever, fused

    index = opened(options)
    retriever = Retriever(index)
    queries = np.load(options.folder / "queries.npy")
    true, true_filtered = np.load(options.folder / "true.npy")
    texts = words(np.random.default_rng(2), len(queries), 4, rarer=20)
    process = psutil.Process()
    started = process.memory_info().rss / 2**20

    def hybrid(which: int, conditions: Sequence[Condition] = ()) -> Any:
        return fused(retriever.both(texts[which], queries[which], conditions, "", DEPTH))

    kinds: dict[str, Callable[[int], Any]] = {
        "dense": lambda which: index.dense(queries[which], NEAREST, (), ""),
        "dense, filter of 1 %": lambda which: index.dense(queries[which], NEAREST, (FILTER,), ""),
        "BM25": lambda which: index.lexical(texts[which], NEAREST, (), ""),
        "hybrid": hybrid,
        "hybrid, filter of 1 %": lambda which: hybrid(which, (FILTER,)),
    }
    found: dict[str, Any] = {}
    for name, one in kinds.items():
        begin = perf_counter()
        one(0)
        first = perf_counter() - begin
        for which in range(len(queries)):
            one(which)  # reads what it needs of the indexes
        took, others = [], process.cpu_times()
        for which in [*range(len(queries))] * options.rounds:
            begin = perf_counter()
            one(which)
            took.append(perf_counter() - begin)
        now = process.cpu_times()
        p50, p95, p99 = np.percentile(took, [50, 95, 99]) * 1000
        found[name] = {
            "p50_ms": p50,
            "p95_ms": p95,
            "p99_ms": p99,
            "first_ms": first * 1000,
            "cpu_ms": (now.user + now.system - others.user - others.system) / len(took) * 1000,
        }
        nearest = {"dense": true, "dense, filter of 1 %": true_filtered}.get(name)
        if nearest is not None:
            hits = [{int(hit.row.id) for hit in one(which)} for which in range(len(queries))]
            shares = [len(have & set(t)) / len(t) for have, t in zip(hits, nearest.tolist(), strict=True)]
            found[name]["recall"] = float(np.mean(shares))
    resident = process.memory_info().rss / 2**20
    retriever.close()
    return {"searches": found, "resident_mib": resident, "resident_mib_before": started}


def peak() -> float:
    """The most memory that this process has had, MiB. Not what `getrusage` says on Linux: that begins with
    what the process had that started this one."""
    import resource

    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**10
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def show(found: dict[str, Any]) -> None:
    made, asked = found["build"], found["ask"]
    print(f"{found['chunks']:,} chunks of {found['dimension']} dimensions ({found['vectors']})")
    print(found["machine"])
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in made["seconds"].items())
    print(f"build {made['total_seconds']:.1f} s ({parts}), at most {made['peak_mib']:,.0f} MiB resident")
    print(f"{made['kind']}, effort {made['effort']}, recall {made['recall_of_sample']:.3f} of its own sample")
    print(f"asking: {asked['resident_mib']:,.0f} MiB resident; {made['disk_mib']:,.0f} MiB on disk")
    print(f"{'':24}{'p50':>8}{'p95':>8}{'p99':>8}{'first':>9}{'cpu':>8} ms   recall@{NEAREST}")
    for name, one in asked["searches"].items():
        numbers = "".join(f"{one[key]:8.1f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
        rate = f"{one['recall']:8.3f}" if "recall" in one else ""
        print(f"{name:24}{numbers}{one['first_ms']:9.1f}{one['cpu_ms']:8.1f}      {rate}")


if __name__ == "__main__":
    sys.exit(main())
