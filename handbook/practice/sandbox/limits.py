"""How much a cell may use, and the environment that it starts with: nothing of the person's.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

MEBI = 1 << 20
COLD_ROOM = 1024 * MEBI  # address space (not memory) that importing torch takes in a cell that starts cold
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # where the interpreter's own libraries may lie
OTHERS = 256  # processes beyond those that the user has, where the kernel counts them per user


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one cell.

    wall, cpu: seconds; memory: bytes beyond what the cell held when its `main` began; processes: threads
    and processes together; files: open descriptors; file_bytes: of everything in the cell's folder;
    output_bytes: what is kept of its output (`OUTPUT_MOST` in cell.py ends a cell that prints on and on).
    """

    wall: float = 10.0
    cpu: float = 20.0
    memory: int = 1024 * MEBI
    processes: int = 64
    files: int = 64
    file_bytes: int = 16 * MEBI
    output_bytes: int = 64 << 10

    def asdict(self) -> dict[str, float | int]:
        return dataclasses.asdict(self)


def set_limits(limits: Limits, base: int, threads: int | None) -> None:
    """Lower the kernel's limits of this process, for good (soft and hard).

    base: bytes of address space that the limit on memory comes on top of; threads: of this user, None where
    the kernel does not hold a limit (user 0 of the machine). Limits that a platform lacks are passed over.
    """
    import resource

    wanted = {
        "CPU": math.ceil(limits.cpu) + 1,  # the watcher ends a cell before; this is for when it can't
        "AS": base + limits.memory,
        "FSIZE": limits.file_bytes,
        "NOFILE": limits.files,
        "CORE": 0,
        "MEMLOCK": 0,
        "MSGQUEUE": 0,
        "SIGPENDING": 1024,
    }
    if threads is not None:
        wanted["NPROC"] = threads
    for name, value in wanted.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some, Linux none of these
            _, hard = resource.getrlimit(kind)
            most = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (most, most))


def address_space() -> int:
    """Bytes of address space of this process; 0 where the system does not say."""
    return _statm(0)


def resident() -> int:
    """Bytes of memory that this process holds; without /proc, the most that it held (right after a fork)."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return _statm(1) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _statm(field: int) -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[field]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def user_threads() -> int | None:
    """Threads that this process's user may have in all; None for user 0, where the limit does not hold."""
    import psutil

    if os.getuid() == 0:
        return None
    mine = 0
    for process in psutil.process_iter(["uids", "num_threads"]):
        uids = process.info["uids"]
        if uids and uids.real == os.getuid():
            mine += process.info["num_threads"] or 1
    return mine + OTHERS


def environment(folder: str, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The whole environment of a cell: no key, token, path or name of the person's."""
    kept = {name: given[name] for name in KEPT if name in given}
    return {
        **kept,
        **dict.fromkeys(THREADS, "1"),
        "HOME": folder,
        "TMPDIR": folder,
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "CUDA_VISIBLE_DEVICES": "",
        "MALLOC_ARENA_MAX": "2",  # else each thread reserves address space, of which there is little
        "PYTHONDONTWRITEBYTECODE": "1",
    }
