"""Embeddings per second: ours and sentence-transformers, same weights, same sentences, in turns in one run.

Turns alternate (ours, theirs, theirs, ours, ...), so that a machine that warms up or has other work slows
both. --precisions measures several values of the setting `embed_precision` beside each other, with how near
each one's vectors stay to those of fp32 on torch. Sentences come from the book and the code of this
repository, or with --corpus from a file: one text a line, or JSON lines with a field `text` (BEIR), cut into
sentences unless --whole.

    handbook bench embeddings [--corpus FILE] [--count 600] [--rounds 7] [--threads N] [--whole]
        [--precisions auto int8 bf16 fp32] [--processor-time] [--json]
"""

import argparse
import functools
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PRECISIONS = ("auto", "int8", "bf16", "fp32")
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n\s*\n")


def own_texts() -> list[str]:
    """Prose and docstrings of the repository, in a fixed order."""
    files = sorted((ROOT / "book").rglob("*.md")) + sorted((ROOT / "handbook").rglob("*.py"))
    return [path.read_text(encoding="utf-8") for path in files]


def read_corpus(path: Path) -> list[str]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [json.loads(line)["text"] for line in lines] if path.suffix == ".jsonl" else lines


def sentences(texts: Sequence[str], count: int, whole: bool) -> list[str]:
    """`count` different texts, spread evenly over all of them."""
    parts = texts if whole else [part for text in texts for part in SENTENCE.split(text)]
    found = list(dict.fromkeys(" ".join(part.split()) for part in parts if len(part.split()) > 2))
    step = max(1, len(found) // count)
    return found[::step][:count]


def in_turns(
    calls: Sequence[Callable[[], Any]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[list[float]]:
    """Seconds of each call in each round; the order turns round every time. The first round doesn't count."""
    seconds: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds + 1):
        order = range(len(calls)) if turn % 2 else range(len(calls) - 1, -1, -1)
        for which in order:
            begin = clock()
            calls[which]()
            if turn:
                seconds[which].append(clock() - begin)
    return seconds


def measure(
    texts: Sequence[str],
    rounds: int,
    threads: int | None,
    precisions: Sequence[str] = ("auto",),
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """The first precision's figures, and those of each."""
    import torch
    from sentence_transformers import SentenceTransformer

    from handbook.embed import BATCH_TOKENS, LocalEmbedder
    from handbook.hardware.probe import probe
    from handbook.model.weights import catalog
    from handbook.settings import load

    settings = load(threads=threads)
    weights = catalog.find("all-minilm-l6-v2", settings)
    if weights is None:
        raise SystemExit(
            "all-minilm-l6-v2 is not on this machine; run `handbook models get all-minilm-l6-v2`."
        )
    if threads:
        torch.set_num_threads(threads)
    own = {name: LocalEmbedder(load(threads=threads, embed_precision=name)) for name in precisions}
    theirs = SentenceTransformer(str(weights.parent), device="cpu")

    def reference() -> Any:
        return theirs.encode(list(texts), show_progress_bar=False, convert_to_numpy=True)

    whole = LocalEmbedder(load(threads=threads, embed_precision="fp32")).embed(texts)
    first = next(iter(own.values()))
    difference = float(np.abs(first.embed(texts) - reference()).max())
    calls = [functools.partial(one.embed, texts) for one in own.values()]
    *ours_s, theirs_s = in_turns((*calls, reference), rounds, clock)
    ways = []
    for (name, one), seconds in zip(own.items(), ours_s, strict=True):
        ratios = [b / a for a, b in zip(seconds, theirs_s, strict=True)]
        cosines = (one.embed(texts) * whole).sum(axis=1)
        ways.append(
            {
                "precision": name,
                "computed_by": one.computed_by,
                "ours_per_s": len(texts) / statistics.median(seconds),
                "ratio": statistics.median(ratios),
                "ratio_low": min(ratios),
                "ratio_high": max(ratios),
                "least_cosine": float(cosines.min()),
                "mean_cosine": float(cosines.mean()),
            }
        )
    _, tokenizer = first.load()
    lengths = [len(one.ids) for one in tokenizer.encode_batch_fast(list(texts))]
    return {
        "texts": len(texts),
        "tokens": sum(lengths),
        "longest": max(lengths),
        "rounds": rounds,
        "batch_tokens": BATCH_TOKENS,
        "threads": torch.get_num_threads(),
        "clock": clock.__name__,
        **{name: ways[0][name] for name in ("ours_per_s", "ratio", "ratio_low", "ratio_high")},
        "theirs_per_s": len(texts) / statistics.median(theirs_s),
        "ways": ways,
        "max_difference": difference,
        "machine": probe().label,
        "date": date.today().isoformat(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench embeddings", description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, help="a text file, or JSON lines with a field `text`")
    parser.add_argument("--count", type=int, default=600, help="how many texts")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--whole", action="store_true", help="whole texts, not their sentences")
    parser.add_argument("--precisions", nargs="+", default=["auto"], choices=PRECISIONS)
    parser.add_argument(
        "--processor-time", action="store_true", help="not the clock's: beside other work, with one thread"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    texts = read_corpus(options.corpus) if options.corpus else own_texts()
    chosen = sentences(texts, options.count, options.whole)
    clock = time.process_time if options.processor_time else time.perf_counter
    found = measure(chosen, options.rounds, options.threads, options.precisions, clock)
    if options.json:
        print(json.dumps({"schema": "handbook.bench.embeddings/1", **found}, indent=2))
        return 0
    print(f"{found['texts']} texts, {found['tokens']} tokens, {found['threads']} threads, {found['machine']}")
    print(f"sentence-transformers {found['theirs_per_s']:8.1f} texts/s")
    for way in found["ways"]:
        print(
            f"{way['precision']:<6} ({way['computed_by']}): {way['ours_per_s']:8.1f} texts/s, "
            f"ratio {way['ratio']:.2f} ({way['ratio_low']:.2f} to {way['ratio_high']:.2f} over rounds), "
            f"cosine to fp32 at least {way['least_cosine']:.6f}, mean {way['mean_cosine']:.6f}"
        )
    print(f"largest difference of a vector's entries: {found['max_difference']:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
