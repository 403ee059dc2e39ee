"""A folder from disk to a corpus that can be asked, as `handbook ingest` does it: parsed and cut on workers,
embedded, indexed, its steps remembered. The cores' time is told too, workers included, since a busy machine
gives less of it. Then the same folder again, of which nothing has changed, and again
with one document changed.

Without a folder of your own the documents are the sections of the book, a file each. `--without-model` puts
vectors of no meaning in the place of the encoder's: what is left is all but the embedding.

    handbook bench corpus [--folder FOLDER] [--megabytes 1] [--workers 2] [--threads 1]
        [--without-model] [--json]
"""

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from ingest import chapters, sections, written

from handbook.rag.jobs import Ingestion
from handbook.settings import load

if TYPE_CHECKING:
    from handbook.embed import Embedder


class Meaningless:
    """Unit vectors drawn from the texts' lengths: quick, and good for nothing but timing."""

    name = "meaningless"
    dimension = 384

    def embed(self, texts: Sequence[str]) -> Any:
        rows = np.random.default_rng(0).standard_normal((len(texts), self.dimension), np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measured(folder: Path, embedder: "Embedder", data: Path, workers: int) -> list[dict[str, Any]]:
    """The folder ingested, ingested again, and again with one document changed."""
    from handbook.database import open_database
    from handbook.rag.corpora import Corpora

    settings = load(data=data, database_url=None, store_url=None)
    database = open_database(settings)
    found = []
    try:
        corpora = Corpora(settings, database, embedder)
        corpora.create("bench")
        with Ingestion(corpora, workers=workers) as ingestion:
            for what in ("new", "unchanged", "one changed"):
                if what == "one changed":
                    first = sorted(path for path in folder.rglob("*") if path.suffix == ".md")[:1]
                    for path in first:
                        path.write_text(path.read_text("utf-8") + "\nOne line more.\n", "utf-8")
                started, before = perf_counter(), sum(os.times()[:4])
                ended = ingestion.wait(ingestion.start("bench", [str(folder)]))
                seconds, processor = perf_counter() - started, sum(os.times()[:4]) - before
                if ended.state != "done":
                    raise SystemExit(f"The ingestion {ended.state}: {ended.note}")
                counts = {
                    name: ended.counts.get(name, 0) for name in ("documents", "chunks", "bytes", "same")
                }
                rates = {
                    "mb_per_s": counts["bytes"] / 1e6 / seconds,
                    "chunks_per_s": counts["chunks"] / seconds,
                }
                found.append({"what": what, **counts, "seconds": seconds, "processor": processor, **rates})
    finally:
        database.close()
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench corpus", description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="a folder of your own; it is not written to")
    parser.add_argument("--megabytes", type=float, default=1.0, help="of the book's sections, without one")
    parser.add_argument("--workers", type=int, default=2, help="processes that parse")
    parser.add_argument("--threads", type=int, default=1, help="of the encoder")
    parser.add_argument("--without-model", action="store_true", help="all but the embedding")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.megabytes <= 0 or options.workers < 1 or options.threads < 1:
        parser.error("--megabytes, --workers and --threads should be above zero")
    embedder: Any = Meaningless()
    if not options.without_model:
        from handbook.embed import open_embedder

        embedder = open_embedder(load(threads=options.threads))
        embedder.embed(["Loaded before the clock starts."])
    with tempfile.TemporaryDirectory() as root:
        folder = options.folder
        if folder is None:
            folder = written(Path(root) / "notes", ".md", sections(chapters()), options.megabytes)
        else:
            folder = Path(shutil.copytree(folder, Path(root) / "notes"))
        found = measured(folder, embedder, Path(root) / "data", options.workers)
    if options.json:
        from handbook.hardware.probe import probe

        values = {
            "schema": "handbook.bench.corpus/1",
            "embedder": embedder.name,
            "runs": found,
            "workers": options.workers,
            "threads": options.threads,
            "machine": probe().label,
            "date": date.today().isoformat(),
        }
        print(json.dumps(values, indent=2))
        return 0
    print(f"{'':12} {'docs':>6} {'chunks':>7} {'MB':>6} {'s':>7} {'core s':>7} {'MB/s':>7} {'chunks/s':>8}")
    for one in found:
        rates = f"{one['mb_per_s']:7.2f} {one['chunks_per_s']:8.1f}"
        size = f"{one['bytes'] / 1e6:6.2f} {one['seconds']:7.2f} {one['processor']:7.2f}"
        print(f"{one['what']:12} {one['documents']:>6} {one['chunks']:>7} {size} {rates}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
