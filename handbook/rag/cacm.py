"""The CACM collection as a golden set: a journal from 1958 to 1979, with 52 judged questions.

3,204 records of Communications of the ACM as a tar of one HTML page each, topics and judgements in TREC's
formats (the files that Anserini's repository holds). A page is a title, an abstract (half of the records have
none), the issue, authors, key words and category numbers, then a catalogue line and a table of citation
counts, which says nothing to a reader and is left out.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import html
import re
import tarfile
from pathlib import Path

from handbook.errors import DataError, DataUnavailable
from handbook.rag.beir import Golden, Text, golden, refuse

PAGES = 20_000  # in a tar at most
PAGE = 1 << 20  # bytes of a page at most
TOPICS = 8 << 20  # bytes of the topics, and of the judgements, at most

_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_CATALOGUE = re.compile(r"^CA\d{6}\b", re.MULTILINE)
_ISSUE = re.compile(r"^(?:CACM )?[A-Za-z]+,? \d{4}$")
_CODES = re.compile(r"^[\d.\s]+$")
_TOPIC = re.compile(r"<DOC>\s*<DOCNO>\s*(\S+)\s*</DOCNO>(.*?)</DOC>", re.DOTALL)
_NAME = re.compile(r"(?:.*/)?(CACM)-0*(\d+)\.html")


def page(source: str) -> Text:
    """A record's page as title and text: abstract, authors, key words, each a paragraph of one line."""
    plain = html.unescape(_TAG.sub(" ", source))
    catalogue = _CATALOGUE.search(plain)
    parts = [
        " ".join(part.split()) for part in re.split(r"\n[ \t]*\n", plain[: catalogue and catalogue.start()])
    ]
    kept = [part for part in parts if part and not _ISSUE.match(part) and not _CODES.match(part)]
    return Text(kept[0], "\n".join(kept[1:])) if kept else Text("", "")


def topics(source: str) -> dict[str, str]:
    """Questions by number, each on one line."""
    return {number: " ".join(text.split()) for number, text in _TOPIC.findall(source)}


def judgements(source: str, place: str = "judgements") -> dict[str, dict[str, int]]:
    """TREC's lines of query, iteration, document and grade. Raises DataError, with each fault."""
    judged: dict[str, dict[str, int]] = {}
    faults: list[str] = []
    for number, line in enumerate(source.splitlines(), start=1):
        cells = line.split()
        if not cells:
            continue
        try:
            query, _, document, grade = cells
            judged.setdefault(query, {})[document] = int(grade)
        except ValueError:
            faults.append(f"line {number} is not a query, an iteration, a document and a grade")
    refuse(place, faults)
    return judged


def read(folder: Path) -> Golden:
    """The set from the files cacm.tar.gz, topics.cacm.txt and qrels.cacm.txt. Nothing is unpacked to disk.

    Raises DataUnavailable where one is missing, DataError where one is not what it should be.
    """
    documents = _pages(folder / "cacm.tar.gz")
    asked = topics(_text(folder / "topics.cacm.txt"))
    judged = judgements(_text(folder / "qrels.cacm.txt"), str(folder / "qrels.cacm.txt"))
    return golden("cacm", documents, asked, judged, str(folder))


def _pages(path: Path) -> dict[str, Text]:
    pages: dict[str, Text] = {}
    try:
        with tarfile.open(path, "r|gz") as tar:  # a stream: what is read is bounded by what is asked for
            for count, member in enumerate(tar):
                name = _NAME.fullmatch(member.name)
                if count >= PAGES or member.size > PAGE:
                    raise DataError(
                        f"{path} holds more than {PAGES:,} pages, or one of more than {PAGE:,} bytes.",
                        "Fetch the collection again.",
                    )
                file = tar.extractfile(member) if member.isreg() and name else None
                if file is not None and name is not None:
                    pages[f"{name[1]}-{name[2]}"] = page(file.read(PAGE).decode("utf-8", "replace"))
    except FileNotFoundError:
        raise DataUnavailable(f"{path} is not there.", "Name the folder of the collection.") from None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Fetch the collection again.") from error
    return pages


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            read = file.read(TOPICS + 1)
    except OSError as error:
        raise DataUnavailable(
            f"{path} cannot be read: {error}.", "Name the folder of the collection."
        ) from error
    if len(read) > TOPICS:
        raise DataError(f"{path} has more than {TOPICS:,} bytes.", "Fetch the collection again.")
    return read.decode("utf-8", "replace")
