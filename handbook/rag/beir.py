"""Golden sets on disk: a corpus, queries and judgements in the layout of BEIR.

    corpus.jsonl      {"_id": ..., "title": ..., "text": ...}, a document a line
    queries.jsonl     {"_id": ..., "text": ...}
    qrels/<split>.tsv query-id, corpus-id, score after a line that names them

Thakur et al. 2021, "BEIR: A Heterogeneous Benchmark for Zero-shot Evaluation of Information Retrieval
Models", whose repository fixes the layout. A whole set is held in memory.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from handbook.errors import DataError, DataUnavailable

LINE = 8 << 20  # characters of a line at most
FAULTS = 20  # that are told of one set

Judged = Mapping[str, Mapping[str, int]]
"""By query: the grade of each document that somebody looked at. 0 is not relevant; others are not known."""


@dataclass(frozen=True, slots=True)
class Text:
    """A document of a golden set."""

    title: str
    text: str

    @property
    def whole(self) -> str:
        """Title and text as one, as BEIR's own baselines read them."""
        return f"{self.title} {self.text}".strip()


@dataclass(frozen=True, slots=True)
class Golden:
    """Questions with the documents that should be found for them.

    queries: those that are judged, and no others. lacking: judged documents that the corpus lacks; they count
    as not found, which is how trec_eval has it.
    """

    name: str
    documents: Mapping[str, Text]
    queries: Mapping[str, str]
    judged: Judged
    lacking: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of queries and judgements: whether two runs were scored by the same set."""
        said = json.dumps([sorted(self.queries.items()), graded(self.judged)], ensure_ascii=False)
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def graded(judged: Judged) -> list[tuple[str, str, int]]:
    """(query, document, grade), sorted."""
    return sorted(
        (query, document, grade) for query, row in judged.items() for document, grade in row.items()
    )


def golden(
    name: str, documents: Mapping[str, Text], queries: Mapping[str, str], judged: Judged, place: str = ""
) -> Golden:
    """A set whose parts fit together.

    Raises DataError, with each fault: a judged query that has no text, no judgement at all.
    """
    faults = [f"query {query!r} is judged and has no text" for query in judged if query not in queries]
    if not judged:
        faults = ["no query is judged"]
    refuse(place or name, faults)
    lacking = {document for row in judged.values() for document in row if document not in documents}
    asked = {query: queries[query] for query in judged}
    return Golden(name, documents, asked, judged, tuple(sorted(lacking)))


def read(folder: Path, split: str = "test") -> Golden:
    """The set in a folder.

    Raises:
        DataUnavailable: a file is not there.
        DataError: lines that cannot be read, the first of them each with its number.
    """
    documents, queries = _documents(folder / "corpus.jsonl"), _queries(folder / "queries.jsonl")
    return golden(folder.name, documents, queries, _judged(folder / "qrels" / f"{split}.tsv"), str(folder))


def write(found: Golden, folder: Path, split: str = "test") -> None:
    """The set as a folder that `read` and BEIR's own code take."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    rows = [{"_id": id, "title": text.title, "text": text.text} for id, text in found.documents.items()]
    asked = [{"_id": id, "text": text} for id, text in found.queries.items()]
    for name, lines in (("corpus", rows), ("queries", asked)):
        said = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(said, encoding="utf-8")
    graded_rows = "".join(
        f"{query}\t{document}\t{grade}\n" for query, document, grade in graded(found.judged)
    )
    place = folder / "qrels" / f"{split}.tsv"
    place.write_text(f"query-id\tcorpus-id\tscore\n{graded_rows}", encoding="utf-8")


def refuse(place: str, faults: list[str]) -> None:
    """Raise DataError where there are faults."""
    if faults:
        raise DataError(
            f"{place} is no golden set in BEIR's layout: {faults[0]}"
            + (f" (and {len(faults) - 1} more)." if len(faults) > 1 else "."),
            "Correct these lines, or fetch the set again.",
            tuple(faults[:FAULTS]),
            len(faults),
        )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that hold something, numbered from 1. Raises as `read`."""
    try:
        with path.open(encoding="utf-8") as file:
            number = 0
            while line := file.readline(LINE + 1):
                number += 1
                if len(line) > LINE:
                    refuse(str(path), [f"line {number} has more than {LINE:,} characters"])
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise DataUnavailable(
            f"{path} is not there.", "Name a folder with corpus.jsonl, queries.jsonl and qrels."
        ) from None
    except UnicodeDecodeError as error:
        refuse(str(path), [f"not UTF-8 after line {number} ({error.reason})"])
    except OSError as error:
        raise DataUnavailable(f"{path} cannot be read: {error}.", "Look at the file.") from error


def _objects(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(id, the line's texts) of a JSON-lines file. Raises as `read`, after the last line."""
    seen: set[str] = set()
    faults: list[str] = []
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("_id"), str) or not row["_id"]:
            faults.append(f"line {number} is no JSON object with an `_id`")
        elif not isinstance(row.get("text"), str) or not isinstance(row.get("title") or "", str):
            faults.append(f"line {number} has no `text`, or a `title` that is none")
        elif row["_id"] in seen:
            faults.append(f"line {number} has the `_id` {row['_id']!r} a second time")
        else:
            seen.add(row["_id"])
            yield row["_id"], {"title": row.get("title") or "", "text": row["text"]}
    refuse(str(path), faults)


def _documents(path: Path) -> dict[str, Text]:
    return {id: Text(row["title"], row["text"]) for id, row in _objects(path)}


def _queries(path: Path) -> dict[str, str]:
    return {id: row["text"] for id, row in _objects(path)}


def _judged(path: Path) -> dict[str, dict[str, int]]:
    judged: dict[str, dict[str, int]] = {}
    faults: list[str] = []
    for number, line in _lines(path):
        cells = line.rstrip("\r\n").split("\t")
        if number == 1 and cells[-1:] == ["score"]:
            continue
        try:
            query, document, grade = cells[0], cells[1], int(cells[2])
            if len(cells) != 3 or not query or not document:
                raise ValueError
        except (ValueError, IndexError):
            faults.append(f"line {number} is not query, document and a whole number, with tabs between")
            continue
        if document in judged.setdefault(query, {}):
            faults.append(f"line {number} judges {document!r} for query {query!r} a second time")
        judged[query][document] = grade
    refuse(str(path), faults)
    return judged
