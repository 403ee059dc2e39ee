"""Files of records: JSON lines, a JSON array or Parquet, as JSON objects that know their line.

What is wrong with a line never hides what is wrong with the next: faults are collected, and reading goes on
where it can. Nothing that JSON forbids is guessed at: NaN, a key given twice and bytes that are no UTF-8 are
faults. Whole-file faults raise.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handbook.errors import DataError

Json = dict[str, Any]
MOST_FAULTS = 20
MOST_LINE = 16 << 20  # bytes; a record as long as a dozen novels is no record
MOST_ARRAY = 1 << 30  # bytes; an array is read whole
FORMATS = "Give JSON lines, a JSON array of objects, or Parquet."


@dataclass(slots=True)
class Faults:
    """What is wrong, by line: the first MOST_FAULTS are kept, all are counted."""

    kept: list[str] = field(default_factory=list)
    count: int = 0
    unit: str = "line"

    def add(self, line: int, what: str) -> None:
        self.count += 1
        if len(self.kept) < MOST_FAULTS:
            self.kept.append(f"{self.unit} {line}: {what}")


def listed(what: str, faults: Sequence[str]) -> str:
    """A heading, and each fault on a line of its own."""
    return "\n  ".join([what, *faults])


def lines_of(path: Path, columns: Sequence[str], faults: Faults) -> Iterator[tuple[int, Json]]:
    """(line, object) for each record, from 1; of an array the line where it begins, of Parquet the row.

    columns: those of a Parquet file that are read, where it has them. Raises DataError for a file that can't
    be opened or has no text at all.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}.", FORMATS) from error
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path} is written in UTF-16.", "Write it in UTF-8.")
    if head.startswith(b"PAR1") or path.suffix == ".parquet":
        return _parquet(path, columns, faults)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        return _array(path, faults)
    return _lines(path, faults)


def _lines(path: Path, faults: Faults) -> Iterator[tuple[int, Json]]:
    reader = _Reader()
    number = 0
    with path.open("rb") as file:
        while line := file.readline(MOST_LINE + 1):
            number += 1
            if len(line) > MOST_LINE:
                while line and not line.endswith(b"\n"):
                    line = file.readline(MOST_LINE)
                faults.add(number, f"longer than {MOST_LINE >> 20} MiB")
                continue
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip(" \t\r\n")
                if text:
                    value, end = reader.read(text, 0)
                    if end < len(text):
                        raise ValueError(f"more follows after the object, at character {end + 1}")
            except (ValueError, RecursionError) as error:
                faults.add(number, _why(error))
                continue
            if text and _sound(value, reader.found, number, faults):
                yield number, value


def _array(path: Path, faults: Faults) -> Iterator[tuple[int, Json]]:
    if path.stat().st_size > MOST_ARRAY:
        raise DataError(f"{path} is an array of more than {MOST_ARRAY >> 30} GiB.", "Write it as JSON lines.")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        faults.add(raw.count(b"\n", 0, error.start) + 1, _why(error))
        return
    reader, at, number, counted = _Reader(), _skip(text, text.index("[") + 1), 1, 0
    while text[at : at + 1] != "]":
        number, counted = number + text.count("\n", counted, at), at
        try:
            value, at = reader.read(text, at)
        except (ValueError, RecursionError) as error:
            faults.add(number, f"{_why(error)}; nothing after it was read")
            return
        if _sound(value, reader.found, number, faults):
            yield number, value
        at = _skip(text, at)
        number, counted = number + text.count("\n", counted, at), at
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
            if text[at : at + 1] != "]":
                continue
            faults.add(number, "a comma ends the array")
        elif text[at : at + 1] != "]":
            faults.add(number, "expected a comma or the end of the array; nothing after it was read")
            return
    if _skip(text, at + 1) < len(text):
        faults.add(number, "more follows after the array")


def _parquet(path: Path, columns: Sequence[str], faults: Faults) -> Iterator[tuple[int, Json]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row, faults.unit = 0, "row"
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            wanted = [name for name in names if name in columns]
            if not wanted or len(set(names)) < len(names):
                raise DataError(
                    f"{path} has the columns {', '.join(map(repr, names[:20]))}.",
                    f"Each once, it may have {', '.join(columns)}.",
                )
            for batch in file.iter_batches(batch_size=1024, columns=wanted):
                for value in _rows(batch):
                    row += 1
                    if isinstance(value, str):
                        faults.add(row, value)
                    else:
                        yield row, value
    except (pa.ArrowException, OSError, ValueError) as error:
        faults.add(row + 1, f"{_why(error)}; nothing after it was read")


def _rows(batch: Any) -> Iterator[Json | str]:
    """The rows of a batch. Where one can't be read, each by itself, and why in place of that one."""
    try:
        yield from batch.to_pylist()
    except ValueError:
        for index in range(batch.num_rows):
            try:
                yield batch.slice(index, 1).to_pylist()[0]
            except ValueError as error:
                yield _why(error)


class _Reader:
    """Python's JSON, which notes what it lets through and JSON doesn't."""

    def __init__(self) -> None:
        self.found: list[str] = []
        decoder = json.JSONDecoder(object_pairs_hook=self._object, parse_constant=self._constant)
        self._scan = decoder.raw_decode

    def read(self, text: str, at: int) -> tuple[Any, int]:
        self.found.clear()
        return self._scan(text, at)

    def _object(self, pairs: list[tuple[str, Any]]) -> Json:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
            self.found.append(f"given more than once: {', '.join(map(repr, twice[:5]))}")
        return made

    def _constant(self, name: str) -> None:
        self.found.append(f"{name} is not JSON")


def _sound(value: Any, found: list[str], number: int, faults: Faults) -> bool:
    if not isinstance(value, dict):
        faults.add(number, f"expected an object, got {kind(value)}")
    for what in found:
        faults.add(number, what)
    return isinstance(value, dict) and not found


def _skip(text: str, at: int) -> int:
    """The next character that is no white space, to JSON."""
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def kind(value: object) -> str:
    """What a value is, to a person."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", bytes: "bytes"}
    return "null" if value is None else names.get(type(value), "a number")


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is no UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg}, at character {error.colno} of line {error.lineno}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error).partition("\n")[0][:200]
