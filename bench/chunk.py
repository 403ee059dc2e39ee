"""How fast texts are chunked: each splitter with the count by words, some with the plain count, and
semantic-text-splitter with the same tokenizer and limit.

Texts are the Markdown of this repository's book, or with --corpus those of a folder (*.md, *.txt) or of a
BEIR corpus.jsonl. One process, one thread. MB (10^6 bytes of UTF-8) are over processor seconds, which a busy
machine inflates less than the clock; the clock's are in the JSON. `first` is a pass by a count that has seen
no word yet; all others are the best of --rounds passes. semantic is left out: its time is the embedder's.

    handbook bench chunk [--corpus PATH] [--limit 200] [--rounds 5] [--most MB] [--plain-most MB] [--json]
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def read(path: Path | None, most: float) -> list[str]:
    """Texts, in a fixed order, up to `most` MB."""
    if path is not None and path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        texts = [json.loads(line)["text"] for line in lines if line.strip()]
    else:
        folder = path or ROOT / "book"
        files = sorted(file for file in folder.rglob("*") if file.suffix in (".md", ".txt"))
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    return sample([text for text in texts if text.strip()], most)


def sample(texts: Sequence[str], most: float) -> list[str]:
    """Texts from the first on, at least one, until `most` MB are full."""
    found, size = [], 0.0
    for text in texts:
        size += len(text.encode()) / 1e6
        if found and size > most:
            break
        found.append(text)
    return found


def timed(work: Callable[[str], int], texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Chunks, and MB and documents a second: of the best round by processor time."""
    best: tuple[float, float, int] | None = None
    for _ in range(rounds):
        clock, busy = perf_counter(), process_time()
        chunks = sum(work(text) for text in texts)
        busy, clock = process_time() - busy, perf_counter() - clock
        best = min(best or (busy, clock, chunks), (busy, clock, chunks))
    assert best is not None
    busy, clock, chunks = best
    size = sum(len(text.encode()) for text in texts) / 1e6
    return {
        "mb": size,
        "chunks": chunks,
        "mb_per_s": size / busy,
        "mb_per_s_clock": size / clock,
        "documents_per_s": len(texts) / busy,
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    from handbook.embed import LocalEmbedder
    from handbook.hardware.probe import probe
    from handbook.rag.chunk import chunk, rows
    from handbook.rag.nouns import Parsed
    from handbook.rag.recursive import recursive
    from handbook.rag.structure import markdown
    from handbook.rag.tokens import Count, of_tokenizer, plain
    from handbook.settings import load

    tokenizer = LocalEmbedder(load()).tokenizer()
    limit = options.limit
    texts = read(options.corpus, options.most)
    few = sample(texts, options.plain_most)
    fast, slow = of_tokenizer(tokenizer), plain(tokenizer)

    def whole(method: str, count: Count) -> Callable[[str], int]:
        def work(text: str) -> int:
            parsed = Parsed("", "markdown", "", text, "")
            return len(rows(parsed, chunk(parsed, method, limit, count=count)))  # type: ignore[arg-type]

        return work

    found: dict[str, dict[str, float]] = {}
    found["markdown, first"] = timed(whole("markdown", fast), texts, 1)
    for method in ("fixed", "sentences", "recursive", "markdown"):
        found[method] = timed(whole(method, fast), texts, options.rounds)
    found["recursive, places alone"] = timed(
        lambda text: len(recursive(text, limit, fast)), texts, options.rounds
    )
    found["markdown, places alone"] = timed(
        lambda text: len(markdown(text, limit, fast)), texts, options.rounds
    )
    found["recursive, plain count"] = timed(lambda text: len(recursive(text, limit, slow)), few, 1)
    found["markdown, plain count"] = timed(lambda text: len(markdown(text, limit, slow)), few, 1)
    try:
        from semantic_text_splitter import MarkdownSplitter, TextSplitter
    except ImportError:
        pass
    else:
        prose = TextSplitter.from_huggingface_tokenizer(tokenizer, limit)
        marked = MarkdownSplitter.from_huggingface_tokenizer(tokenizer, limit)
        found["semantic-text-splitter, text"] = timed(lambda text: len(prose.chunk_indices(text)), few, 1)
        found["semantic-text-splitter, Markdown"] = timed(
            lambda text: len(marked.chunk_indices(text)), few, 1
        )
    return {
        "limit": limit,
        "documents": len(texts),
        "rounds": options.rounds,
        "splitters": found,
        "machine": probe().label,
        "date": date.today().isoformat(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench chunk", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--corpus", type=Path, help="a folder of *.md and *.txt, or a BEIR corpus.jsonl")
    parser.add_argument("--limit", type=int, default=200, help="tokens of a chunk")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=float, default=50.0, help="MB that are read")
    parser.add_argument("--plain-most", type=float, default=0.5, help="MB for the slow ones")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    found = measure(options)
    if options.json:
        print(json.dumps({"schema": "handbook.bench.chunk/1", **found}, indent=2))
        return 0
    print(f"{found['documents']} documents, chunks of {found['limit']} tokens, {found['machine']}")
    for name, one in found["splitters"].items():
        print(
            f"{name:33} {one['mb_per_s']:7.2f} MB/s {one['documents_per_s']:8.0f} documents/s"
            f"   {one['chunks']:.0f} chunks of {one['mb']:.2f} MB"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
