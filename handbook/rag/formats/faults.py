"""Documents that can't be read, and the limits within which one is read at all.

A file that somebody sent is an attack until shown otherwise: what it says of its own size is not believed,
and no parser is asked to unpack more than is allowed here. Time and memory are limited where a process can be
ended from outside (`handbook.rag.workers`).
"""

from handbook.errors import Unreadable as Unreadable

FILE = 512 << 20  # bytes of a file
MARKUP = 64 << 20  # bytes of an HTML page or a notebook: their trees take ten times that
CHARACTERS = 512_000_000  # of a document's text
UNPACKED = 512 << 20  # bytes that a DOCX may unpack to, in all
PART = 128 << 20  # bytes that one of its parts may unpack to
RATIO = 200  # a part that unpacks to more than this many times its size is a bomb, if it is above
SMALL = 8 << 20  # bytes, below which no ratio matters
PARTS = 10_000  # of a DOCX
PAGES = 20_000  # of a PDF
PAGE = 200_000  # characters of a page of a PDF
CELL = 1 << 20  # characters of a cell of a CSV file
BLOCKS = 2_000_000  # of a document; without any, beyond that


def size(count: float) -> str:
    """Bytes as a person reads them: `3.2 MB`."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def ranges(numbers: list[int]) -> str:
    """Numbers in order as a person reads them: `1, 3-5, 9`; the first twenty runs."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    said = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs[:20])
    return said + (", ..." if len(runs) > 20 else "")


def too_large(data: bytes, limit: int, what: str) -> None:
    """Raises Unreadable for data above the limit of its format."""
    if len(data) > limit:
        raise Unreadable(
            f"{what} of {size(len(data))} is more than the {size(limit)} that are read.", "Split the file."
        )
