"""The worker's memory in large pages, because a fork copies a table of pages and an end takes it down again.

With torch imported that is 50,000 entries of 4 KiB pages, and most of what a cell costs. Put together into
pages of 2 MiB they are few hundred; where a cell writes, the kernel copies 4 KiB all the same.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import ctypes
from pathlib import Path

LARGE = 2 << 20  # bytes
COLLAPSE = 25  # MADV_COLLAPSE, Linux 6.1; an older kernel says that it does not know it


def put_together() -> None:
    """Put this process's own memory into large pages, as far as the kernel does that."""
    advise = ctypes.CDLL(None).madvise
    for low, high in _own():
        begin, end = -(-low // LARGE) * LARGE, high // LARGE * LARGE
        if begin < end:  # in one call each: each waits for every processor once
            advise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), COLLAPSE)


def _own() -> list[tuple[int, int]]:
    """Ranges of addresses that are private, writable and of no file."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        addresses, rights, _, _, inode, *_ = line.split()
        if rights == "rw-p" and inode == "0":
            low, high = addresses.split("-")
            found.append((int(low, 16), int(high, 16)))
    return found
