"""What the lab shows: the hood over one's own documents, chunks in colour, curves, the failure gallery."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import Any

from handbook.errors import HandbookError
from handbook.lab.rag import answering, chunking, embedding, parsing, reranking
from handbook.rag.chunk import Method
from handbook.rag.nearest.curve import Point
from handbook.rag.stages import Config, Expansion
from handbook.records import Answer, Step

BETWEEN = "==="
LONGEST = 90  # characters of a cell
TINTS = ("rgba(59,127,196,0.20)", "rgba(217,130,43,0.20)", "rgba(63,155,99,0.20)", "rgba(160,95,192,0.20)")
NOTES = f"""# Care of the pump

The filter of the pump is cleaned every six months. A clogged filter makes the motor run hot.

The seals are greased once a year, and replaced when they leak.
{BETWEEN}
# The boiler

The boiler is set to 60 degrees. Below 55 degrees bacteria can grow in the tank.

Its valve is tested every month: a valve that sticks is replaced at once."""
PAGE = """# Fermentation

## Sourdough

A starter is flour and water in which wild yeast and bacteria live. It is fed once a day. At 24 degrees it
doubles in about six hours; in a cold room it takes twice as long.

The dough is folded every half hour. Folding builds strength without kneading.

## Beer

Ale ferments warm, lager cold. Lager yeast works slowly at 10 degrees and leaves a clean taste.

| style | degrees | days |
|---|---|---|
| ale | 18 | 7 |
| lager | 10 | 28 |
"""


@dataclass(frozen=True)
class Hood:
    """said: sentences of the answer, each with its document. The rest are tables."""

    said: Sequence[tuple[str, str]]
    confidence: float
    parsed: Sequence[Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]
    passages: Sequence[Mapping[str, Any]]


def split(text: str) -> dict[str, str]:
    """Documents of a text area, by name."""
    parts = (part.strip() for part in text.split(f"\n{BETWEEN}\n"))
    return {f"document {n}.md": part for n, part in enumerate((part for part in parts if part), start=1)}


def hood(
    given: Mapping[str, str | bytes], question: str, limit: int, passages: int, expansion: Expansion
) -> Hood:
    """Documents through all stages. Raises HandbookError: nothing to read, no question, no encoder."""
    if not given:
        raise HandbookError("There is no document.", "Write one, or choose a file.")
    config = Config(passages=passages, expansion=expansion)
    made, parsed = answering.corpus(given, limit=limit, config=config)
    answer = made.pipeline.ask(question)
    made.pipeline.close()
    about = [
        {
            "document": one.source,
            "read as": one.kind,
            "title": short(one.title),
            "characters": len(one.text),
            "language": one.language,
            "lost": short("; ".join(one.lost) or "nothing"),
        }
        for one in parsed
    ]
    said = [(sentence.text, sentence.citations[0].chunk.document) for sentence in answer.sentences]
    return Hood(said, answer.confidence, about, [stage(step) for step in answer.steps], hits(answer))


def hits(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "passage": short(hit.chunk.text),
            "document": hit.chunk.document,
            "cosine": "" if hit.dense is None else round(hit.dense, 3),
            "BM25": "" if hit.lexical is None else round(hit.lexical, 2),
        }
        for hit in answer.hits
    ]


def stage(step: Step) -> dict[str, Any]:
    return {
        "stage": step.stage,
        "received": told(step.received),
        "produced": told(step.produced),
        "ms": round(1000 * step.seconds, 2),
        "cost": told(step.cost),
        "note": short(step.note),
    }


def told(what: Mapping[str, object]) -> str:
    """Names and values in one line."""
    return short("; ".join(f"{name}: {_value(value)}" for name, value in what.items()))


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return (
            f"{len(value)} of them" if value and isinstance(value[0], Mapping) else ", ".join(map(str, value))
        )
    return str(value)


def short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


@dataclass(frozen=True)
class Piece:
    """A chunk: text[start:end], and its line in the table."""

    start: int
    end: int
    row: Mapping[str, Any]


def chunks(text: str, method: Method, limit: int, overlap: int) -> list[Piece]:
    """Raises HandbookError for a text that is empty."""
    found = []
    for number, (span, whole) in enumerate(chunking.spans(text, method, limit, overlap), start=1):
        row = {
            "chunk": number,
            "tokens": chunking.count()(text[span.start : span.end]),
            "embedded": chunking.count()(whole),
            "under": short(" / ".join(span.headings)),
            "what is embedded": short(whole),
        }
        found.append(Piece(span.start, span.end, row))
    return found


def marked(text: str, pieces: Sequence[Piece]) -> str:
    """The text with each chunk on a tint of its own; what two chunks share is underlined."""
    begun = {piece.start for piece in pieces} | {piece.end for piece in pieces} | {0, len(text)}
    places = sorted(begun)
    tint = dict(zip(range(len(pieces)), cycle(TINTS), strict=False))
    out = []
    for start, end in pairwise(places):
        over = [n for n, piece in enumerate(pieces) if piece.start <= start and end <= piece.end]
        said = html.escape(text[start:end])
        if over:
            line = ";text-decoration:underline dotted" if len(over) > 1 else ""
            said = f'<span style="background:{tint[over[-1]]}{line}">{said}</span>'
        out.append(said)
    return f'<div style="white-space:pre-wrap;font-size:0.875rem;line-height:1.7">{"".join(out)}</div>'


def curves(points: Sequence[Point], work: str) -> dict[str, list[tuple[float, float]]]:
    """Recall by work, a line an index; PQ without and with rescoring apart."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        if point.setting.endswith("refine 1"):
            continue  # recall stays low whatever is probed; the table has it
        lines.setdefault(point.index, []).append((getattr(point, work), point.recall))
    return {name: sorted(line) for name, line in lines.items()}


def gallery() -> list[dict[str, Any]]:
    """Faults made on purpose: a figure with and without each; or what this machine lacks to show it."""
    faults: list[tuple[str, str, Callable[[], float], Callable[[], float]]] = [
        (
            "bad parse: two columns read across",
            "sentences whole",
            parsing.parse_columns_kept,
            parsing.parse_down_kept,
        ),
        (
            "chunk too big: 800 tokens",
            "paragraph found",
            chunking.chunk_recall_800,
            chunking.chunk_recall_400,
        ),
        (
            "wrong metric: inner product of sums",
            "nDCG@10, CACM",
            embedding.embed_sum_inner,
            embedding.embed_sum_cosine,
        ),
    ]
    faults.append(
        ("no reranker", "nDCG@10, interview questions", reranking.book_fused, reranking.book_reranked)
    )
    rows = []
    for fault, measure, wrong, right in faults:
        try:
            rows.append({"fault": fault, "measure": measure, "with it": wrong(), "without": right()})
        except HandbookError as error:
            rows.append({"fault": fault, "measure": measure, "with it": error.what, "without": ""})
    return rows
