"""Has anything changed? Modification time and size of each file that a Book was read from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from handbook.book.symbols import package_folder

BOOK_SUFFIXES = (".md", ".toml", ".yaml", ".bib", ".py", ".svg")


def _files(folder: str, suffixes: tuple[str, ...]) -> Iterator[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith((".", "_")) and entry.name != "__init__.py":
            continue
        if entry.is_dir():
            yield from _files(entry.path, suffixes)
        elif entry.name.endswith(suffixes):
            yield entry


def take(root: Path, package: str) -> dict[str, tuple[int, int]]:
    """(mtime in ns, size) by path, of the book's files and of the package's modules."""
    folder = package_folder(package)
    found = list(_files(str(root), BOOK_SUFFIXES))
    if folder is not None:
        found += _files(str(folder), (".py",))
    stamps = {}
    for entry in found:
        try:
            stat = entry.stat()
        except OSError:
            continue
        stamps[entry.path] = (stat.st_mtime_ns, stat.st_size)
    return stamps
