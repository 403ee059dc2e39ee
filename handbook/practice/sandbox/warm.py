"""One cell of the warm worker, seen from the app: what the worker says of it, and what ends it.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path

from handbook.practice.sandbox.cell import Cell
from handbook.practice.sandbox.limits import Limits


@dataclass
class Asked:
    """One cell as the worker speaks of it: begun with its id and a descriptor, over with its status."""

    begun: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    held: int = -1
    failed: str = ""
    given_up: bool = False  # nobody waits for it any more
    status: int = -signal.SIGKILL
    cpu: float = 0.0
    peak: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def let_go(self) -> None:
        """End a cell that came too late for anybody to hold."""
        with self.lock:
            held, self.held = self.held, -1
        if held >= 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(held, signal.SIGKILL)
            os.close(held)


class WarmCell(Cell):
    """Known by a descriptor of its process, which no other process can ever be meant by."""

    def __init__(
        self, pid: int, asked: Asked, folder: str | None, limits: Limits, output: int, notes: int
    ) -> None:
        super().__init__(pid, limits, output, notes)
        self._asked, self._folder = asked, folder
        self.folder = Path(folder) if folder else None
        self._look_for_end = select.poll()
        self._look_for_end.register(asked.held, select.POLLIN)

    def _poll(self) -> int | None:
        if not self._asked.over.is_set() and not self._look_for_end.poll(0):
            return None
        self._asked.over.wait(2)  # the worker says it a moment later
        self._cpu = max(self._cpu, self._asked.cpu)
        if self.ready.is_set():
            self._peak = max(self._peak, self._asked.peak - self._base)
        return self._asked.status

    def _wakes(self) -> int | None:
        return self._asked.held

    def _end(self) -> None:
        if self._asked.held >= 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._asked.held, signal.SIGKILL)

    def _tidy(self) -> None:
        held, self._asked.held = self._asked.held, -1
        os.close(held)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def outside_id(held: int) -> int:
    """The process's id as this process sees it, of a descriptor that comes from another namespace."""
    for line in Path(f"/proc/self/fdinfo/{held}").read_text(encoding="ascii").splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    return -1
