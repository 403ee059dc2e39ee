"""From a fork of the warm worker to a cell: let go of what is not its own, move in, and begin.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import base64
import fcntl
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from handbook.practice.sandbox import namespaces
from handbook.practice.sandbox.inside import FAILED, begin, resolve
from handbook.practice.sandbox.limits import Limits

HIGH = 500  # descriptors are moved above this number while they are put in order


def live(
    plan: Mapping[str, Any], asked: Mapping[str, Any], kept: Sequence[int], user: int, proc: int, base: int
) -> None:
    """Become the cell that was asked for. kept: output, notes, channels. Never returns.

    user: who to be inside the worker's namespace, 0 to remain; proc: descriptor of /proc, -1 where there are
    no namespaces; base: address space that the limit on memory comes on top of.
    """
    try:
        if proc >= 0:
            proc = fcntl.fcntl(proc, fcntl.F_DUPFD, HIGH)
        notes, channels = _order(kept, proc)
        limits = Limits(**asked["limits"])
        folder = asked.get("folder") or namespaces.CELL
        if proc >= 0:
            namespaces.enter(user, proc, limits.file_bytes)
            os.close(proc)
        else:
            os.setsid()
            os.chdir(folder)
        for name, content in asked["files"].items():
            Path(name).write_bytes(base64.b64decode(content))
        _renew(folder)
        inner = {
            **plan,
            "layers": [namespaces.SPACES] if proc >= 0 else [],
            "cwd": folder,
            "parent": os.getppid(),
            "notes": notes,
            "channels": channels,
            "limits": asked["limits"],
            "base": base,
            "threads": limits.processes if proc >= 0 else asked["threads"],
        }
        main = resolve(asked["main"])
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(FAILED)
    begin(main, inner)


def _order(kept: Sequence[int], proc: int) -> tuple[int, list[int]]:
    """Give descriptors the numbers that a cell has them under, and close all others but `proc`."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, HIGH) for fd in kept]
    os.dup2(high[0], 1)
    os.dup2(high[0], 2)
    numbers = list(range(3, 2 + len(high)))
    for fd, number in zip(high[1:], numbers, strict=True):
        os.dup2(fd, number, inheritable=False)
    top = numbers[-1] + 1
    if proc >= 0:
        os.closerange(top, proc)
        os.closerange(proc + 1, 1 << 20)
    else:
        os.closerange(top, 1 << 20)
    return numbers[0], numbers[1:]


def _renew(folder: str) -> None:
    """What a process gets new when it starts, and a fork copies: places for files, NumPy's random state."""
    import tempfile

    import numpy

    os.environ["HOME"] = os.environ["TMPDIR"] = folder
    tempfile.tempdir = None
    numpy.random.seed()
