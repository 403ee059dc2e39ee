"""What each stage of retrieval is worth: BM25, dense, both fused, reranked, on golden sets in BEIR's layout.

Sets are folders with corpus.jsonl, queries.jsonl and qrels (or the CACM collection's own three files);
without any, all that lie in the folder that HANDBOOK_RETRIEVAL names. With --book they are the questions of
bench/ask over this book, and the stages those that the question box has. Documents are searched whole, as
title and text; the encoder reads the first 256 tokens. Every stage is asked each question from nothing, so a
later one's time has the earlier ones' in it. Vectors are kept in the data folder, so only the first run
embeds.

--sweep tries settings on one half of the questions and quotes the best of them on the other half.
--rerank reads the first passages again with a cross-encoder, the one that ships (it has seen nothing of
SciFact or CACM, and of the book all paragraphs and half of its own questions) or another: a folder, a hub id.
--compare says what ways of fusing, diversity (MMR), late interaction (MaxSim) and smaller vectors change.
--store FILE keeps the scores, --gate FILE fails (status 1) where they are worse than those kept; the book's
are in bench/ask/scores.json, and a test holds them.

    handbook bench rag [FOLDER ...] [--book] [--split test] [--sweep] [--threads N]
        [--rerank [NAME]] [--weight W] [--compare fusion diversity late forms]
        [--store FILE | --gate FILE] [--json]
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from _compared import COMPARED, ask
from _compared import in_words as compared_in_words
from _golden import Rerank, Searcher, Setting, book_golden, book_stages

from handbook.errors import HandbookError
from handbook.hardware.probe import probe
from handbook.rag import beir, cacm, gate
from handbook.rag.beir import Golden
from handbook.rag.cross import WEIGHT, Cross
from handbook.rag.evaluate import Scores, difference, evaluate
from handbook.rag.sweep import front, grid, halves, sweep, table
from handbook.reranking import OWN, open_reranker

MEASURES = ("nDCG@10", "R@10", "R@100", "RR@10")
GATED = ("nDCG@10", "R@10")
SWEPT = {"depth": (30, 100), "flatness": (5, 10, 20, 60), "lexical": (0.5, 1.0, 2.0)}
POOLS = (10, 20, 50)
ALLOWED = 0.02  # that the book's means may fall: each new chapter brings paragraphs that compete


def sets(folders: Sequence[Path], retrieval: Path | None, split: str) -> list[Golden]:
    """Raises HandbookError where there are none."""
    if not folders and retrieval is None:
        raise HandbookError(
            "No golden set is named.",
            "Name folders in BEIR's layout, or set HANDBOOK_RETRIEVAL; or ask --book.",
        )
    if not folders and retrieval is not None:
        folders = sorted(path for path in retrieval.iterdir() if path.is_dir())
    return [
        cacm.read(folder) if (folder / "cacm.tar.gz").is_file() else beir.read(folder, split)
        for folder in folders
    ]


def reranker(name: str | None, weight: float, settings: Any) -> Rerank | None:
    """The cross-encoder of that name over as many candidates as it is given; None for none."""
    return Cross(open_reranker(name, settings), weight, max(POOLS)) if name else None


def report(golden: Golden, found: Sequence[Scores]) -> dict[str, Any]:
    """A set's scores and times, and what each stage adds to the best before it, by the first measure."""
    stages = [
        {
            "stage": each.stage,
            **{name: round(each.mean(name), 4) for name in each.values},
            "p50_ms": round(each.percentile(0.5) * 1e3, 2),
            "p99_ms": round(each.percentile(0.99) * 1e3, 2),
        }
        for each in found
    ]
    steps = []
    for place, after in enumerate(found[1:], start=1):
        before = max(found[:place], key=lambda each: each.mean(MEASURES[0]))
        apart = difference(after.values[MEASURES[0]], before.values[MEASURES[0]])
        steps.append(
            {
                "stage": after.stage,
                "over": before.stage,
                "mean": round(apart.mean, 4),
                "low": round(apart.low, 4),
                "high": round(apart.high, 4),
                "clear": apart.clear,
            }
        )
    return {
        "set": golden.name,
        "documents": len(golden.documents),
        "queries": len(golden.queries),
        "digest": golden.digest,
        "stages": stages,
        "steps": steps,
    }


def swept(searcher: Searcher, golden: Golden, rerank: Rerank | None) -> dict[str, Any]:
    """All settings on one half; on the other those of the front, and last the one that is not swept."""
    chosen_on, quoted_on = halves(golden)
    choices = {**SWEPT, "pool": POOLS} if rerank else SWEPT
    last = "hybrid + rerank" if rerank else "hybrid"

    def build(setting: Any) -> Any:
        return searcher.stages(Setting(**setting), rerank)[last]

    points = sweep(build, grid(choices), chosen_on)
    as_is = {name: getattr(Setting(), name) for name in choices}
    best = front(points) + [point for point in points if point.setting == as_is]
    quoted = sweep(build, [point.setting for point in best], quoted_on)
    return {
        "table": table(points),
        "front": [
            {
                "setting": point.setting,
                "chosen_on": round(point.quality, 4),
                "quoted": round(other.quality, 4),
                "p50_ms": round(other.seconds * 1e3, 2),
            }
            for point, other in zip(best, quoted, strict=True)
        ],
    }


def in_words(found: dict[str, Any]) -> str:
    lines = [f"\n{found['set']}: {found['documents']:,} documents, {found['queries']} questions"]
    if found["stages"]:
        lines.append(f"{'stage':<18}" + "".join(f"{name:>9}" for name in MEASURES) + "   p50 ms   p99 ms")
    for row in found["stages"]:
        cells = "".join(f"{row[name]:9.4f}" for name in MEASURES)
        lines.append(f"{row['stage']:<18}{cells}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}")
    for step in found["steps"]:
        told = "" if step["clear"] else ": no clear difference"
        spread = f"{step['low']:+.4f} to {step['high']:+.4f}"
        lines.append(f"{step['stage']} over {step['over']}: {step['mean']:+.4f} ({spread}){told}")
    if "sweep" in found:
        lines += ["settings of the last stage on one half (* on the front):", found["sweep"]["table"]]
        lines += [
            f"{row['setting']}: {row['chosen_on']:.4f} there, {row['quoted']:.4f} on the other half, "
            f"{row['p50_ms']:.2f} ms"
            for row in found["sweep"]["front"]
        ]
    lines += [compared_in_words(name, rows) for name, rows in found.get("compared", {}).items()]
    return "\n".join(lines)


def book(settings: Any, embedder: Any, rerank: Rerank | None = None) -> tuple[Golden, list[Scores]]:
    from ask import read  # the questions' reader, beside this file

    from handbook.book.load import open_book
    from handbook.rag.own import open_corpus

    corpus = open_corpus(open_book(settings.book), settings, embedder)
    if embedder is not None:
        corpus.build()
    golden = book_golden(corpus, read("answerable"))
    return golden, evaluate(book_stages(corpus, dense=embedder is not None, rerank=rerank), golden, MEASURES)


def progress(done: int, total: int, note: str) -> None:
    print(f"\r{done:,} of {total:,} documents embedded", end="\n" if done == total else "", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench rag", description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--book", action="store_true", help="the book's own questions")
    parser.add_argument("--split", default="test", help="which qrels")
    parser.add_argument("--sweep", action="store_true", help="try settings of the last stage")
    parser.add_argument(
        "--compare", nargs="+", default=[], choices=list(COMPARED), help="these, in place of the stages"
    )
    parser.add_argument("--rerank", nargs="?", const=OWN, metavar="NAME", help="a cross-encoder")
    parser.add_argument("--weight", type=float, default=WEIGHT, help="of its score in the blend")
    parser.add_argument("--threads", type=int, help="of the encoder")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--store", type=Path, help="keep the scores in a file (one set)")
    kept.add_argument("--gate", type=Path, help="fail where they are worse than kept (one set)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)

    from handbook.embed import open_embedder
    from handbook.rag.embed import VectorCache
    from handbook.rag.index import Index
    from handbook.rag.store import Store
    from handbook.settings import load

    settings = load(threads=options.threads)
    embedder = open_embedder(settings)
    rerank = reranker(options.rerank, options.weight, settings)
    found: list[tuple[Golden, list[Scores], dict[str, Any]]] = []
    if options.book:
        golden, scored = book(settings, embedder, rerank)
        found.append((golden, scored, report(golden, scored)))
    else:
        cache = Store(str(settings.data / "golden"), settings.data / "golden.lock")
        for golden in sets(options.folders, settings.retrieval, options.split):
            bodies = [text.whole for text in golden.documents.values()]
            vectors = VectorCache(cache, embedder).vectors(bodies, progress)
            with tempfile.TemporaryDirectory() as folder:
                store = Store(folder, Path(folder) / "lock")
                index = Index(store, "golden", embedder.dimension, embedder.name)
                searcher = Searcher(golden, index, embedder, vectors)
                stages = {} if options.compare else searcher.stages(Setting(), rerank)
                scored = evaluate(stages, golden, MEASURES)
                told = report(golden, scored)
                if options.compare:
                    asked = ask(searcher, golden, embedder)
                    kinds = {
                        "embedder": embedder,
                        "vectors": dict(zip(golden.documents, vectors, strict=True)),
                    }
                    told["compared"] = {
                        name: COMPARED[name](golden, asked, **kinds) for name in options.compare
                    }
                if options.sweep:
                    told["sweep"] = swept(searcher, golden, rerank)
                searcher.close()
            found.append((golden, scored, told))
    if (options.store or options.gate) and (len(found) != 1 or options.compare):
        parser.error("--store and --gate are of one set")
    said = {
        "schema": "handbook.bench.rag/1",
        "machine": probe().label,
        "date": date.today().isoformat(),
        "embedder": embedder.name,
        **({"reranker": options.rerank, "weight": options.weight} if rerank else {}),
        "sets": [told for _, _, told in found],
    }
    print(json.dumps(said, indent=2) if options.json else "\n".join(in_words(told) for told in said["sets"]))
    if options.store or options.gate:
        golden, scored, _ = found[0]
        kept_of = [replace(each, values={name: each.values[name] for name in GATED}) for each in scored]
        if options.store:
            gate.store(options.store, golden, kept_of)
            return 0
        return held(gate.falls(options.gate, golden, kept_of, ALLOWED if options.book else gate.ALLOWED))
    return 0


def held(fallen: Sequence[gate.Fall]) -> int:
    """Say what became worse; 1 where something did."""
    for fall in fallen:
        print(fall, file=sys.stderr)
    if fallen:
        print(
            "If that is meant, keep the new scores with --store, and say why in the commit.", file=sys.stderr
        )
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
