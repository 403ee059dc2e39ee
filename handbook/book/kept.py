"""Chapters that have been read and have not changed since: an edit of one chapter re-reads one chapter.

A chapter's reading hangs on its own files and, through names of labs and solutions, on the package's. Both
are told by their stamps (modification time and size). What was written less than a moment before it was read
is not kept, since a second edit within a tick of the file system's clock would look the same.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from handbook.book.chapter import Entry, LocatedChapter, load_chapter
from handbook.book.faults import Faults
from handbook.book.nouns import Fault

Stamps = Mapping[str, tuple[int, int]]
MOMENT = 100_000_000  # nanoseconds
MOST = 64  # chapters

_kept: dict[tuple[Path, Entry], tuple[int, LocatedChapter, list[Fault]]] = {}


def forget() -> None:
    """Let go of all, so that the next reading reads everything."""
    _kept.clear()


def chapters(root: Path, entries: Iterable[Entry], stamps: Stamps, faults: Faults) -> list[LocatedChapter]:
    """Each chapter of the book at `root`, read or remembered, its faults added. stamps: as they are now."""
    prefix = f"{root}/"
    of: dict[str, list[tuple[str, tuple[int, int]]]] = defaultdict(list)
    shared: list[tuple[str, tuple[int, int]]] = []
    for path, stamp in stamps.items():
        if path.startswith(prefix):
            part, _, rest = path[len(prefix) :].partition("/")
            of[f"{part}/{rest.partition('/')[0].removesuffix('.md')}"].append((path, stamp))
        else:
            shared.append((path, stamp))
    latest, common = time.time_ns() - MOMENT, hash(tuple(shared))
    fresh = any(stamp[0] > latest for _, stamp in shared)
    found = []
    for entry in entries:
        own = of[f"{entry.part}/{entry.slug}"]
        state = hash((common, tuple(own)))
        known = _kept.get((root, entry))
        if known is None or known[0] != state:
            mine = Faults(faults.base)
            known = (state, load_chapter(root, entry, mine), mine.found)
            _kept.pop((root, entry), None)
            if not fresh and all(stamp[0] <= latest for _, stamp in own):
                _kept[root, entry] = known
                if len(_kept) > MOST:
                    _kept.pop(next(iter(_kept)), None)
        faults.found += known[2]
        found.append(known[1])
    return found
