"""A cell seen from outside: its output, what it uses, how it ended, and what it was stopped from doing.

One thread a cell watches it. Times and memory are read from the system, not asked of the cell.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import abc
import contextlib
import json
import os
import selectors
import signal
import threading
import time
from pathlib import Path
from typing import Any

from handbook.practice.sandbox.limits import MEBI, Limits
from handbook.practice.sandbox.measuring import SIGNALS, cpu_seconds, ending, usage, weight
from handbook.practice.verdicts import Incident, IncidentKind, cut

TICK = 0.01  # seconds between two looks at a cell
GRACE = 0.3  # seconds in which what a dead cell has printed is still read
OUTPUT_MOST = 16 * MEBI  # printed bytes after which a cell is ended
NOTES_MOST = 64 << 10  # bytes of notes that are read at all
WEIGHING = 0.25  # seconds between two looks at a folder
INCIDENTS_MOST = 50
NOTED: tuple[IncidentKind, ...] = (
    "files",
    "network",
    "processes",
    "signals",
    "environment",
    "threads",
    "exit",
)


class Cell(abc.ABC):
    """One process that runs a `main`, and everything that it starts.

    pid: as this process sees it. ended: "" while it runs, then why it is over. status: its exit status,
    negative for a signal, None while it runs.
    """

    def __init__(self, pid: int, limits: Limits, output: int, notes: int, base: int = 0) -> None:
        self.pid, self.limits = pid, limits
        self.status: int | None = None
        self.ended = ""
        self.printed = 0  # bytes, all of them
        self.ready = threading.Event()  # its `main` is about to begin
        self.layers: tuple[str, ...] = ()
        self._kept, self._notes = bytearray(), bytearray()
        self._fds = {output: self._hear, notes: self._note}
        self._incidents: dict[Incident, None] = {}
        self._base, self._peak, self._cpu = base, 0, 0.0
        self._began, self._reason = time.monotonic(), ""
        self.folder: Path | None = None  # where one has to look how much it writes; a tmpfs knows its size
        self._weigh = self._began
        self._look, self._threads = self._began, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"cell-{pid}", daemon=True)

    def watch(self) -> None:
        """Begin to watch. Once, by whoever started the cell."""
        self._thread.start()

    @abc.abstractmethod
    def _poll(self) -> int | None:
        """The process's status if it has ended; does not wait."""

    def _wakes(self) -> int | None:
        """A descriptor, open until `_tidy`, that becomes readable when the process ends, if there is one."""
        return None

    @abc.abstractmethod
    def _end(self) -> None:
        """Kill everything in the cell at once."""

    def _settle(self) -> None:  # noqa: B027
        """Before its `main` begins."""

    def _tidy(self) -> None:  # noqa: B027
        """After the end: give back what the cell held."""

    @property
    def output(self) -> str:
        """The first `output_bytes` of what it printed."""
        return bytes(self._kept).decode("utf-8", "replace")

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """What it was ended for, and what it said that it reached for; the latter are names, no proof."""
        return tuple(self._incidents)

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        if self.status is None:
            self._cpu = max(self._cpu, cpu_seconds(self.pid))
        return self._cpu

    def memory(self) -> tuple[int, int]:
        """Bytes held now and at most, beyond what it held when its main began."""
        now = 0
        if self.status is None:
            held, peak, self._threads = usage(self.pid)
            if self.ready.is_set():
                now = max(0, held - self._base)
                self._peak = max(self._peak, peak - self._base, now)
        return now, self._peak

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is over and its output read; False if that takes longer than `timeout` seconds."""
        return self._over.wait(timeout)

    def kill(self, why: str = "ended from outside") -> None:
        """End it and everything that it started. Returns at once; `wait` afterwards."""
        self._reason = self._reason or why
        with contextlib.suppress(OSError):
            self._end()

    def _stop(self, kind: IncidentKind, what: str) -> None:
        self._incidents.setdefault(Incident(kind, what))
        self.kill(what)

    def _watch(self) -> None:
        try:
            self._follow()
        finally:  # whatever happened: nobody waits for a cell that nobody watches
            with contextlib.suppress(OSError):
                self._end()  # what it left in the background, too
            for fd in self._fds:
                with contextlib.suppress(OSError):
                    os.close(fd)
            if self.status is None:
                self._over_with(-signal.SIGKILL)
            self._tidy()
            self.ready.set()
            self._over.set()

    def _follow(self) -> None:
        """Until it has ended and its output is read."""
        with selectors.DefaultSelector() as selector:
            for fd in self._fds:
                os.set_blocking(fd, False)
                selector.register(fd, selectors.EVENT_READ)
            wakes = self._wakes()
            if wakes is not None:
                selector.register(wakes, selectors.EVENT_READ)
            while self.status is None:
                self._hear_all(selector, TICK)
                status = self._poll()
                if status is not None:
                    self._over_with(status)
                elif time.monotonic() >= self._look:
                    self._look = time.monotonic() + TICK
                    self._measure()
            if wakes is not None:
                selector.unregister(wakes)
            until = time.monotonic() + GRACE
            while selector.get_map() and time.monotonic() < until:
                if not self._hear_all(selector, 0.02) and not self._reason:
                    break

    def _over_with(self, status: int) -> None:
        self.ended = self._reason or ending(status)
        if status < 0 and not self._reason:
            by = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
            kind: IncidentKind = {"SIGXCPU": "time", "SIGXFSZ": "files", "SIGKILL": "memory"}.get(by, "exit")  # type: ignore[assignment]
            self._incidents.setdefault(Incident(kind, f"The process ended by {SIGNALS.get(by, by)}."))
        self.status = status

    def _hear_all(self, selector: selectors.BaseSelector, seconds: float) -> bool:
        heard = False
        if not selector.get_map():
            time.sleep(seconds)  # a cell that closed everything
        for key, _ in selector.select(seconds if selector.get_map() else 0):
            if key.fd not in self._fds:
                continue
            heard = True
            try:
                chunk = os.read(key.fd, 1 << 16)
            except BlockingIOError:
                continue
            except OSError:
                chunk = b""
            if chunk:
                self._fds[key.fd](chunk)
            else:
                selector.unregister(key.fd)
        return heard

    def _hear(self, chunk: bytes) -> None:
        self.printed += len(chunk)
        self._kept.extend(chunk[: max(0, self.limits.output_bytes - len(self._kept))])
        if self.printed > OUTPUT_MOST and not self._reason:
            self._stop("output", f"Printed more than {OUTPUT_MOST // MEBI} MiB.")

    def _note(self, chunk: bytes) -> None:
        room = NOTES_MOST - len(self._notes)
        if room <= 0:
            self._stop("protocol", "Wrote to descriptors that are not its own.")
            return
        before = self._notes.rfind(b"\n") + 1
        self._notes.extend(chunk[:room])
        for line in bytes(self._notes[before:]).split(b"\n")[:-1]:
            with contextlib.suppress(ValueError, RecursionError):
                said = json.loads(line)
                if isinstance(said, dict):
                    self._noted(said)

    def _noted(self, said: dict[str, Any]) -> None:
        """The first note is the sandbox's own, written before anything untrusted ran; later ones name."""
        if not self.ready.is_set():
            base, layers = said.get("base"), said.get("layers")
            if isinstance(base, int) and isinstance(layers, list):
                self._base, self.layers = base, tuple(map(str, layers))
                self._settle()
                self.ready.set()
            return
        kind, what = said.get("kind"), said.get("what")
        if kind in NOTED and len(self._incidents) < INCIDENTS_MOST:
            self._incidents.setdefault(Incident(kind, cut(what, 300)))

    def _measure(self) -> None:
        if self._reason:
            return
        now, _ = self.memory()
        if now > self.limits.memory:
            self._stop("memory", f"Held more than {self.limits.memory // MEBI:,} MiB.")
        elif self._threads > self.limits.processes:
            self._stop("threads", f"Ran {self._threads} threads, more than {self.limits.processes}.")
        elif self.cpu() > self.limits.cpu:
            self._stop("time", f"Used more than {self.limits.cpu:g} s of processor time.")
        elif time.monotonic() - self._began > self.limits.wall:
            self._stop("time", f"Ran for more than {self.limits.wall:g} s.")
        elif self.folder and time.monotonic() > self._weigh:
            self._weigh = time.monotonic() + WEIGHING
            if weight(self.folder) > self.limits.file_bytes:
                self._stop("files", f"Wrote more than {self.limits.file_bytes // MEBI} MiB to its folder.")
