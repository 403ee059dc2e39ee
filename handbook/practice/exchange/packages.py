"""The collection inside an Anki package, unpacked into a file, with limits on all that a package can claim.

A package is a ZIP archive with one SQLite database: `collection.anki21b` (packed by Zstandard, since Anki
2.1.50), else `collection.anki21` (since 2.1), else `collection.anki2`; newer packages hold a stub under the
older names. Nothing but that entry is read, and no name in the archive becomes a name on this disk. What it
unpacks to is counted while it is unpacked: sizes in the archive's own table may be lies.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from handbook.errors import DiskFull
from handbook.practice.exchange.limits import COLLECTION, ENTRIES, RATIO, WINDOW
from handbook.practice.exchange.nouns import NotTaken

NEWEST = "collection.anki21b"
NAMES = (NEWEST, "collection.anki21", "collection.anki2")
PIECE = 1 << 20
ENTRY = b"PK\x01\x02"  # begins each line of an archive's table
SMALL = 4_000_000  # bytes that anything may unpack to, whatever the ratio: an empty database packs well
STORED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def is_package(data: bytes) -> bool:
    return data[:4] == b"PK\x03\x04"


def unpack(package: bytes, target: Path) -> str:
    """Write the package's collection to `target`; the name that it had. Raises NotTaken, DiskFull."""
    if package.count(ENTRY) > ENTRIES:  # before a million of them become objects
        raise NotTaken(f"Expected at most {ENTRIES:,} files in the package, got more.")
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            entry = _entry(archive)
            with archive.open(entry) as packed:
                pieces: Iterator[bytes] = iter(lambda: packed.read(PIECE), b"")
                if entry.filename == NEWEST:
                    pieces = _zstd(packed)
                _write(pieces, target, max(SMALL, RATIO * entry.compress_size))
            return entry.filename
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise NotTaken(f"The package can't be unpacked: {error}.", "Export it from Anki again.") from error
    except OSError as error:
        raise DiskFull(
            f"The package can't be unpacked: {error}.", "Free some space. Nothing was imported."
        ) from error


def _entry(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    listed = archive.infolist()
    for name in NAMES:
        there = [each for each in listed if each.filename == name]
        if len(there) > 1:
            raise NotTaken(f"The package has two files called {name}.", "Export it from Anki again.")
        if there:
            entry = there[0]
            if entry.flag_bits & 1:
                raise NotTaken("The package is encrypted.", "Export it from Anki without a password.")
            if entry.compress_type not in STORED:
                raise NotTaken(
                    "The package is packed in a way that Anki does not use.", "Export it from Anki."
                )
            return entry
    raise NotTaken(f"Expected a package of Anki, with {', '.join(NAMES)}; got another archive.")


def _zstd(packed: IO[bytes]) -> Iterator[bytes]:
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=1 << WINDOW).stream_reader(packed)
    try:
        yield from iter(lambda: reader.read(PIECE), b"")
    except zstandard.ZstdError as error:
        raise NotTaken(f"The collection can't be unpacked: {error}.", "Export it from Anki again.") from error


def _write(pieces: Iterator[bytes], target: Path, most: int) -> None:
    most = min(most, COLLECTION)
    size = 0
    with target.open("wb") as out:
        for piece in pieces:
            size += len(piece)
            if size > most:
                raise NotTaken(
                    f"The collection unpacks to more than {most / 1e6:,.0f} MB, which no deck of ours does.",
                    "Export this handbook's deck alone, without media.",
                )
            out.write(piece)
