"""CSV: a line a record, each value with the name of its column, so that a record says what it is wherever it
is cut.

RFC 4180, and what is found in its place: semicolons, tabs, bars; a header or none. Line ends within a cell
become spaces, so that a line stays a record.
"""

import csv
import io
from collections.abc import Iterator, Sequence

from handbook.rag.formats.characters import clean
from handbook.rag.formats.draft import Draft, one_line
from handbook.rag.formats.faults import CELL, Unreadable
from handbook.rag.formats.plain import text_of

DELIMITERS = ",;\t|"
LOOK = 20  # records that decide on the delimiter
NAME = 60  # characters; what is longer names no column


def read(data: bytes, declared: str = "") -> Draft:
    """A table as one block of lines `name: value | name: value`; empty cells are left out."""
    draft = Draft()
    text = clean(text_of(data, draft, declared))
    delimiter = delimiter_of(text)
    records = _records(text, delimiter, draft)
    first = next(records, [])
    names = first if is_header(first) else []
    uneven = 0
    lines: list[str] = []
    for record in records if names else _with(first, records):
        uneven += len(record) != len(first)
        if line := _line(record, names):
            lines.append(line)
    if names and not lines:
        lines.append(" | ".join(names))
    if uneven:
        draft.lost.append(f"{uneven:,} records have more or fewer cells than the first")
    draft.metadata |= {"columns": ", ".join(names)} if names else {}
    draft.metadata["records"] = str(len(lines))
    draft.add("table", "\n".join(lines))
    return draft


def _line(record: Sequence[str], names: Sequence[str]) -> str:
    cells = [one_line(cell) if "\n" in cell or "  " in cell else cell.strip() for cell in record]
    if not names:
        return " | ".join(cells) if any(cells) else ""
    pairs = [f"{name}: {cell}" for name, cell in zip(names, cells, strict=False) if cell]
    return " | ".join([*pairs, *(cell for cell in cells[len(names) :] if cell)])


def _records(text: str, delimiter: str, draft: Draft) -> Iterator[list[str]]:
    """Records that have anything in them; reading stops at a fault, which is told."""
    if csv.field_size_limit() < CELL:
        csv.field_size_limit(CELL)
    more = csv.field_size_limit() > CELL  # it is of the process, so somebody else's
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for record in reader:
            if more and any(len(cell) > CELL for cell in record):
                raise csv.Error(f"a cell has more than {CELL:,} characters")
            if record:
                yield record
    except csv.Error as error:
        draft.lost.append(f"everything after line {reader.line_num:,}: {error}")


def _with(first: list[str], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    if first:
        yield first
    yield from rest


def delimiter_of(text: str) -> str:
    """The delimiter by which the first records fall into the most cells of an even number."""
    head = text[: 64 << 10]
    best, most = ",", 0.0
    for delimiter in DELIMITERS:
        if delimiter not in head:
            continue
        counts = [
            len(record) for record, _ in zip(_records(head, delimiter, Draft()), range(LOOK), strict=False)
        ]
        usual = max(set(counts), key=counts.count, default=0)
        score = usual * (counts.count(usual) / len(counts)) ** 2 if usual > 1 else 0.0
        if score > most:
            best, most = delimiter, score
    return best


def is_header(record: Sequence[str]) -> bool:
    """Whether a first record names columns: all different, short, no numbers, none empty (but for the first,
    which often is)."""
    names = [cell.strip() for cell in record]
    return (
        len(names) > 1
        and len(set(names)) == len(names)
        and all(names[1:])
        and all(len(name) <= NAME and not _number(name) for name in names)
    )


def _number(text: str) -> bool:
    try:
        float(text.replace(",", ".").rstrip("%"))
    except ValueError:
        return False
    return True


__all__ = ["Unreadable", "delimiter_of", "is_header", "read"]
