"""Giving memory back. The C library keeps what was freed, for whoever asks next: after the weights are
packed, and after a storm of requests, hundreds of megabytes that nobody uses. And it keeps them apart for up
to eight threads a core, so that what one thread freed serves no other.

glibc can be told: malloc_trim(3) hands whole free pages back to the system, mallopt(3) says how many heaps
there may be. Elsewhere (macOS, Windows, musl) there are no such calls, and nothing is done.

Book: inference-ops/llm-serving-optimization
"""

import ctypes
import sys
from typing import Any

ARENA_MAX = -8  # M_ARENA_MAX in malloc.h


def give_back() -> None:
    """Hand what is free back to the system. Some milliseconds, in which no thread can allocate."""
    if (trim := _of_glibc("malloc_trim")) is not None:
        trim(0)


def share_heaps(most: int = 2) -> None:
    """All threads of this process share so many heaps from now on; for a server's start, before it has
    threads. They wait for each other a little; Python's own lock lets few of them allocate at once anyway."""
    if (option := _of_glibc("mallopt")) is not None:
        option(ARENA_MAX, most)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
