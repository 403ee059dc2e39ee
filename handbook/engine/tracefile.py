"""A trace as a file: JSON lines, a header and then a line for each step, flushed as it is made.

Every so many lines one holds everything, so that a reader can begin in the middle, and a run that was killed
leaves a trace that ends early and can be read. The file holds counts, numbers of pages and ids of requests,
and no text.

Files come from anywhere: `read` takes none that is too large, foreign or damaged, and says where and why.

Book: inference-ops/llm-serving-optimization
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Literal, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from handbook.engine.trace import Header, Step
from handbook.engine.traceline import Name, Whole, decode, encode, follow
from handbook.errors import HandbookError

log = logging.getLogger(__name__)
SCHEMA = "handbook.engine.trace/1"
KEY = 64  # lines from one that holds everything to the next
WRITTEN = 64 << 20  # bytes, at most
MOST_BYTES = 256 << 20  # of a file that is read
MOST_LINE = 8 << 20
MOST_STEPS = 1_000_000
MOST_PAGES = 1 << 20


class TraceError(HandbookError):
    """A trace that can't be read or written."""


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    schema_: Annotated[str, Field(alias="schema")]
    model: Name
    pages: Annotated[int, Field(ge=1, le=MOST_PAGES)]
    page: Annotated[int, Field(ge=1, le=1 << 20)]
    tokens: Whole
    running: Whole
    chunked: bool
    chunk: Whole
    swap: Whole
    speculation: Annotated[str, Field(max_length=100)]
    clock: Literal["real", "simulated"]
    made: Annotated[str, Field(max_length=100)]


class TraceWriter:
    """Writes each step that it is told of. Give it to `Engine.watch`.

    file: made anew. limit: bytes; a longer trace ends there, and the run goes on. Raises TraceError for a
    file that is there already or can't be made.
    """

    def __init__(self, file: Path, header: Header, limit: int = WRITTEN) -> None:
        self.file, self.limit = file, limit
        self.steps = self.bytes = 0
        self._before: Step | None = None
        try:
            self._out: IO[bytes] | None = file.open("xb", buffering=0)
        except FileExistsError as error:
            raise TraceError(f"{file} exists already.", "Name another file, or remove that one.") from error
        except OSError as error:
            raise TraceError(
                f"{file} can't be written: {error.strerror}.", "Name a file in a folder of yours."
            ) from error
        self._write({"schema": SCHEMA, **asdict(header)})

    def __call__(self, step: Step) -> None:
        if self._out is None:
            return
        self._write(encode(None if self.steps % KEY == 0 else self._before, step))
        self.steps += 1
        self._before = step
        if self.bytes >= self.limit:
            log.warning("the trace %s has reached %d bytes and ends there", self.file, self.bytes)
            self.close("limit")

    def close(self, end: Literal["closed", "limit"] = "closed") -> None:
        """Write the last line. Further steps are not written."""
        if self._out is not None:
            self._write({"end": end})
            self._out.close()
            self._out = None

    def _write(self, line: object) -> None:
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        assert self._out is not None
        try:
            self._out.write(data)
        except OSError as error:  # the disk is full: the run matters more
            log.warning("the trace %s ends early: %s", self.file, error.strerror)
            self._out.close()
            self._out = None
        self.bytes += len(data)


class Trace(Sequence[Step]):
    """A trace that was read; a step is made from its line when it is asked for.

    end: "closed", "limit" (it had grown too large), or "cut": the run was killed, or still goes on.
    given, seconds: of each step.
    """

    def __init__(
        self, header: Header, lines: Sequence[bytes], end: Literal["closed", "limit", "cut"]
    ) -> None:
        """Raises TraceError for a line that can't be."""
        self.header, self.end, self._lines = header, end, lines
        self.given: list[int] = []
        self.seconds: list[float] = []
        self._keys: list[int] = []
        self._last: tuple[int, Step | None] = (-1, None)
        step: Step | None = None
        for index in range(len(lines)):
            before, (step, key) = step, self._follow(step, index)
            if before is not None and (step.n <= before.n or step.at < before.at):
                raise TraceError(f"Line {index + 2} of the trace goes back in time.", REMEDY)
            self.given.append(step.given)
            self.seconds.append(step.seconds)
            if key:
                self._keys.append(index)

    def _follow(self, before: Step | None, index: int) -> tuple[Step, bool]:
        """The step of a line, and whether the line holds everything."""
        try:
            line = decode(self._lines[index])
            return follow(before, line, self.header.pages), line.key
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            what = f"{where}: {first['msg']}" if where else first["msg"]
            raise TraceError(f"Line {index + 2} of the trace is no step ({what[:200]}).", REMEDY) from error
        except ValueError as error:
            raise TraceError(f"Line {index + 2} of the trace can't be ({error}).", REMEDY) from error

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> list[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | list[Step]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        last, step = self._last
        key = max(key for key in self._keys if key <= at)
        if not key <= last <= at:
            last, step = key - 1, None
        for one in range(last + 1, at + 1):
            step, _ = self._follow(step, one)
        assert step is not None
        self._last = at, step
        return step


REMEDY = "Record it again: `handbook engine trace`, or `handbook serve --trace FILE`."


def read(file: Path) -> Trace:
    """The trace in a file. Raises TraceError."""
    try:
        with file.open("rb") as stream:
            return parse(stream, str(file))
    except OSError as error:
        raise TraceError(f"{file} can't be read: {error.strerror}.", "Name a trace that is there.") from error


def parse(stream: IO[bytes], name: str, most: int = MOST_BYTES, steps: int = MOST_STEPS) -> Trace:
    """The trace in a stream; most, steps: bytes and steps that it may have. Raises TraceError."""
    rows = _rows(stream, name, most)
    header = _header(next(rows, b""), name)
    lines = list(islice(rows, steps + 1))
    if len(lines) > steps:
        raise TraceError(f"{name} has more than {steps:,} steps.", "Cut it into pieces.")
    end: Literal["closed", "limit", "cut"] = "cut"
    if lines and lines[-1].replace(b" ", b"") in (b'{"end":"closed"}', b'{"end":"limit"}'):
        end = "closed" if b"closed" in lines.pop() else "limit"
    if not lines:
        raise TraceError(f"{name} is a trace without a step.", "Let the run make one.")
    return Trace(header, lines, end)


def _rows(stream: IO[bytes], name: str, most: int) -> Iterator[bytes]:
    """Whole lines; the last one, where its end is missing, was being written when the run ended."""
    size = 0
    while line := stream.readline(MOST_LINE + 1):
        size += len(line)
        if size > most or len(line) > MOST_LINE:
            what = (
                f"more than {most >> 20} MiB" if size > most else f"a line of more than {MOST_LINE >> 20} MiB"
            )
            raise TraceError(f"{name} has {what}, which no trace needs.", "Record a shorter run.")
        if not line.endswith(b"\n"):
            return
        yield line[:-1]


def _header(line: bytes, name: str) -> Header:
    try:
        read = _Header.model_validate_json(line)
        if read.schema_ != SCHEMA:
            raise ValueError(f"it says {read.schema_[:100]!r}, expected {SCHEMA!r}")
        return Header(**read.model_dump(exclude={"schema_"}))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        what = f"{'.'.join(map(str, first['loc']))} {first['msg']}".strip()
        raise TraceError(
            f"{name} is no trace of this engine: its first line ({what[:200]}).", REMEDY
        ) from error
    except ValueError as error:
        raise TraceError(f"{name} is no trace of this engine: {error}.", REMEDY) from error
