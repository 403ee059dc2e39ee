"""How fast files become chunks: parsing and cutting, without embedding, on worker processes.

Each corpus is written to a folder and goes through `handbook.rag.workers` as `handbook ingest` sends it:
read, told its format, parsed, cut along its structure. The clock starts with the first document that comes
back, so that starting Python is not part of it, and the workers' CPU time is told too, since a busy machine
gives them less. Without folders of your own the documents are the book: its chapters as they are (for MB/s)
and a section a file (for documents/s), as Markdown and rendered as pages of a site whose content is marked,
or is not (trafilatura's share), and its text set in a PDF.

    handbook bench ingest [--markdown FOLDER] [--html FOLDER] [--pdf FOLDER] [--megabytes 20] [--pages 500]
        [--workers 2] [--json]
"""

import argparse
import json
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from time import perf_counter

from handbook.rag.walk import walk
from handbook.rag.workers import BATCH, parse_all

FUNCTION = "handbook.rag.prepare:measure"
ESCAPED = {ord(c): f"\\{c}" for c in "()\\"}  # in strings of a PDF
UNMARKED = 40  # pages without a marked content: trafilatura takes its time


@dataclass(frozen=True)
class Speed:
    """A corpus through the workers. seconds: of the clock; processor: of the workers' cores, parsing and
    cutting alone.
    """

    corpus: str
    documents: int
    megabytes: float
    pages: int
    chunks: int
    faults: int
    seconds: float
    processor: float

    @property
    def rates(self) -> dict[str, float]:
        found = {"mb_per_s": self.megabytes / self.seconds, "documents_per_s": self.documents / self.seconds}
        found["mb_per_core_s"] = self.megabytes / max(self.processor, 1e-9)
        return found | ({"pages_per_s": self.pages / self.seconds} if self.pages else {})


def chapters() -> list[str]:
    """The book's chapters as Markdown."""
    from handbook.book.load import default_root

    files = sorted(default_root().rglob("*.md"))
    return [text for file in files if len(text := file.read_text("utf-8")) > 5000]


def sections(texts: Sequence[str]) -> list[str]:
    """Each part under a second-level heading as a text of its own."""
    return [f"## {part}" for text in texts for part in text.split("\n## ")[1:] if len(part) > 200]


def page(text: str, marked: bool) -> str:
    """A Markdown text as a page of a site: a menu, the content, a footer, a script."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark").enable("table").render(text)
    menu = "".join(
        f'<li><a href="/page/{i}">Another page of this site, number {i}</a></li>' for i in range(40)
    )
    menu, tag = (f"<nav><ul>{menu}</ul></nav>", "main") if marked else (f"<ul>{menu * 8}</ul>", "div")
    head = (
        "<meta charset=utf-8><title>A page</title><style>p { margin: 1em }</style><script>let a = 1;</script>"
    )
    content = f"{menu}<{tag}>{body}</{tag}><footer>2026</footer>"
    return f"<!DOCTYPE html><html lang=en><head>{head}</head><body>{content}</body></html>"


def pdf(text: str, pages: int) -> bytes:
    """A text set in Helvetica, fifty lines a page, a running title and a number on each."""
    lines = [line for part in text.split("\n\n") for line in [*textwrap.wrap(part, 90), ""]]
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    for number in range(pages):
        shown = [lines[(number * 50 + i) % len(lines)] for i in range(50)]
        drawn = [f"BT /F 8 Tf 72 760 Td (The Book) Tj ET BT /F 8 Tf 300 30 Td ({number + 1}) Tj ET"]
        drawn += ["BT /F 10 Tf 12 TL 72 720 Td", *(f"({line.translate(ESCAPED)}) Tj T*" for line in shown)]
        stream = "\n".join([*drawn, "ET"]).encode("latin-1", "replace")
        here = len(objects) + 1
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F 3 0 R>>>>"
            b"/Contents %d 0 R>>" % (here + 1)
        )
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
    kids = b" ".join(b"%d 0 R" % (4 + 2 * i) for i in range(pages))
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, kids)
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def written(folder: Path, suffix: str, texts: Sequence[str], megabytes: float) -> Path:
    """Texts as files, over and over up to a size."""
    folder.mkdir(parents=True)
    size, number = 0, 0
    while size < megabytes * 1e6:
        data = texts[number % len(texts)].encode()
        (folder / f"{number:06}{suffix}").write_bytes(data)
        size, number = size + len(data), number + 1
    return folder


def corpora(options: argparse.Namespace, root: Path) -> Iterator[tuple[str, Path, int]]:
    """Name, folder and pages (0 where there are none) of each corpus."""
    given = [(name, folder) for name in ("markdown", "html", "pdf") if (folder := getattr(options, name))]
    if given:
        yield from ((name, folder, -1 if name == "pdf" else 0) for name, folder in given)
        return
    whole = chapters()
    parts = sections(whole)
    size = options.megabytes
    yield "Markdown, chapters", written(root / "a", ".md", whole, size), 0
    yield "Markdown, sections", written(root / "b", ".md", parts, size / 2), 0
    yield "HTML, chapters", written(root / "c", ".html", [page(text, True) for text in whole], size), 0
    yield "HTML, sections", written(root / "d", ".html", [page(text, True) for text in parts], size / 2), 0
    few = [page(text, False) for text in parts[:UNMARKED]]
    yield "HTML, unmarked", written(root / "e", ".html", few, sum(map(len, few)) / 1e6), 0
    (root / "f").mkdir()
    for number in range(options.workers * 2):
        (root / "f" / f"{number}.pdf").write_bytes(pdf("\n\n".join(whole), options.pages))
    yield "PDF", root / "f", options.pages * options.workers * 2


def speed(name: str, folder: Path, pages: int, workers: int, root: Path) -> Speed:
    """A folder through the workers, after some documents of its kind by which they start. root: for those."""
    sizes = {file.path: file.size for file in walk(folder)}
    if not sizes:
        raise SystemExit(f"{folder} holds no documents.")
    first = Path(next(iter(sizes)))
    warm = []
    for i in range(workers * BATCH):  # so many are given out at once
        path = root / f"warm-{i}{first.suffix}"
        path.write_bytes(pdf("Words.", 1) if first.suffix == ".pdf" else first.read_bytes())
        warm.append(str(path))
    done, chunks, faults, total, processor, started = 0, 0, 0, 0, 0.0, perf_counter()
    for outcome in parse_all([*warm, *sizes], workers, FUNCTION):
        if outcome.source not in sizes:
            started = perf_counter()
            continue
        done += 1
        total += sizes[outcome.source]
        faults += bool(outcome.fault)
        if outcome.result:
            chunks += outcome.result[1]
            processor += outcome.result[2]
    seconds = perf_counter() - started
    return Speed(name, done, total / 1e6, max(0, pages), chunks, faults, seconds, processor)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handbook bench ingest", description=__doc__.partition("\n")[0])
    for name in ("markdown", "html", "pdf"):
        parser.add_argument(f"--{name}", type=Path, help="a folder of your own")
    parser.add_argument("--megabytes", type=float, default=20.0, help="of each corpus of the book")
    parser.add_argument("--pages", type=int, default=500, help="of each PDF")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.megabytes <= 0 or options.pages < 1 or options.workers < 1:
        parser.error("--megabytes, --pages and --workers should be above zero")
    with tempfile.TemporaryDirectory() as folder:
        found = [speed(*corpus, options.workers, Path(folder)) for corpus in corpora(options, Path(folder))]
    if options.json:
        from handbook.hardware.probe import probe

        print(
            json.dumps(
                {
                    "schema": "handbook.bench.ingest/1",
                    "workers": options.workers,
                    "corpora": [{**asdict(each), **each.rates} for each in found],
                    "machine": probe().label,
                    "date": date.today().isoformat(),
                },
                indent=2,
            )
        )
        return 0
    heads = f"{'chunks':>8} {'faults':>6} {'MB/s':>7} {'docs/s':>8} {'pages/s':>8} {'MB/core s':>9}"
    print(f"{'corpus':20} {'docs':>6} {'MB':>7} {heads}")
    for each in found:
        rates = each.rates
        print(
            f"{each.corpus:20} {each.documents:6,} {each.megabytes:7.1f} {each.chunks:8,} {each.faults:6,} "
            f"{rates['mb_per_s']:7.1f} {rates['documents_per_s']:8.0f} {rates.get('pages_per_s', 0):8.0f} "
            f"{rates['mb_per_core_s']:9.1f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
