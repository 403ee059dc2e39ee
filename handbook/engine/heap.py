"""Giving memory back. The C library keeps what was freed, for whoever asks next: after the weights are
packed, and after a storm of requests, hundreds of megabytes that nobody uses.

malloc_trim(3) of glibc hands whole free pages back to the system; elsewhere (macOS, Windows, musl) there is
no such call, and nothing is done.

Book: inference-ops/llm-serving-optimization
"""

import ctypes
import sys


def give_back() -> None:
    """Hand what is free back to the system. Some milliseconds, in which no thread can allocate."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
