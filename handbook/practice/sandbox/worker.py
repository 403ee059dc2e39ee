"""The app's side of the warm worker: starts it, asks it for cells, hears how they ended, starts it again.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from handbook.practice.sandbox import libraries, namespaces
from handbook.practice.sandbox.cell import Cell
from handbook.practice.sandbox.limits import Limits, environment, user_threads
from handbook.practice.sandbox.plain import ROOT, check_names, start_cold, trusting
from handbook.practice.sandbox.sandbox import Sandbox
from handbook.practice.sandbox.warm import Asked, WarmCell, outside_id
from handbook.practice.verdicts import Isolation

ZYGOTE = Path(__file__).with_name("zygote.py")
PATIENCE = 60.0  # seconds for the worker to import everything
ANSWER = 10.0  # seconds for a cell to be forked; a machine under load takes its time


class Worker(Sandbox):
    """Cells that are forks of one warm process.

    spaces: whether they have namespaces of their own; torch: whether torch is there from the start.
    """

    def __init__(
        self,
        spaces: bool = True,
        layers: Sequence[str] = ("landlock", "seccomp"),
        isolation: Isolation | None = None,
        trusted: bool = False,
        torch: bool = True,
    ) -> None:
        self.spaces, self.layers = spaces, tuple(layers)
        self.isolation = isolation or Isolation("worker", ("limits", *self.layers))
        self.trusted, self.torch = trusted, torch
        self._second: Worker | None = None
        self.users = False  # whether each cell is a user of its own
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._asked: dict[int, Asked] = {}

    def open(self) -> None:
        """Start the worker if it does not run. Raises OSError where it can't be started."""
        with self._lock:
            self._open()

    def _open(self) -> None:
        if self._process is not None and self._process.poll() is None and self._control is not None:
            return
        self._shut()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(ANSWER), 0))
        with theirs:
            process = subprocess.Popen(
                start_cold(ZYGOTE),
                cwd="/",
                env=environment(namespaces.CELL if self.spaces else "/"),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(json.dumps(self._plan(theirs.fileno())).encode() + b"\n")
        self._process = process
        try:
            self._hear_ready(ours)
        except BaseException:
            ours.close()
            self._shut()
            raise
        self._control, self._asked = ours, {}
        listener = threading.Thread(
            target=self._listen, args=(ours, self._asked), name="judge-worker", daemon=True
        )
        listener.start()

    def _plan(self, control: int) -> dict[str, Any]:
        plan = {
            "root": str(ROOT),
            "path": libraries.search_path(),
            "control": control,
            "namespaces": self.spaces,
            "confine": self.layers,
            "torch": self.torch,
            "read": ["/"] if self.spaces else libraries.readable(),
            "named": libraries.readable(),
            "modules": libraries.modules(),
            "shown": libraries.shown(),
            "hidden": libraries.hidden(),
        }
        return trusting(plan) if self.trusted else plan

    def _hear_ready(self, control: socket.socket) -> None:
        control.settimeout(PATIENCE)
        while True:
            said = json.loads(control.recv(1 << 16) or b'{"failed": "The worker ended while it started."}')
            if "map" in said:
                control.send(b"mapped" if self._map(said["map"]) else b"map yourself")
            elif said.get("ready"):
                if said["threads"] != 1:
                    raise OSError(f"Expected a worker of one thread, got {said['threads']}.")
                self.users = bool(said["users"])
                control.settimeout(None)
                return
            else:
                raise OSError(str(said.get("failed")))

    def _map(self, pid: int) -> bool:
        """As root: give the worker users that are nobody's, one for each cell."""
        if os.getuid() != 0:
            return False
        try:
            namespaces.map_many(pid)
        except OSError:
            return False
        return True

    def _listen(self, control: socket.socket, asked: dict[int, Asked]) -> None:
        while True:
            try:
                message, fds, _, _ = socket.recv_fds(control, 1 << 16, 4)
            except OSError:
                message, fds = b"", []
            if not message:
                break
            for fd in fds:
                os.set_inheritable(fd, False)
            said = json.loads(message)
            about = asked.get(said["id"])
            if about is None:
                for fd in fds:
                    os.close(fd)
            elif "status" in said:
                about.status, about.cpu, about.peak = said["status"], said["cpu"], said["peak"]
                asked.pop(said["id"], None)
                about.over.set()
            else:
                about.failed = said.get("failed", "")
                about.held = fds[0] if fds else -1
                about.begun.set()
                if about.given_up:
                    about.let_go()
        for about in list(asked.values()):
            about.failed = about.failed or "The worker ended."
            about.begun.set()
            about.over.set()
        with self._lock:
            if self._control is control:
                self._control = None
        control.close()

    def start(
        self,
        main: str,
        channel_fds: Sequence[int],
        limits: Limits,
        files: Mapping[str, bytes] | None = None,
        trusted: bool = False,
    ) -> Cell:
        if trusted != self.trusted:
            return self._other().start(main, channel_fds, limits, files, trusted)
        check_names(files or {})
        number, about = next(self._numbers), Asked()
        folder = None if self.spaces else tempfile.mkdtemp(prefix="handbook-cell-")
        request = {
            "id": number,
            "main": main,
            "limits": limits.asdict(),
            "files": {name: base64.b64encode(content).decode() for name, content in (files or {}).items()},
            "folder": folder,
            "threads": None if self.spaces else user_threads(),
        }
        output, notes, paper = os.pipe(), os.pipe(), os.memfd_create("request")
        try:
            with os.fdopen(os.dup(paper), "wb") as file:
                file.write(json.dumps(request).encode())
            with self._lock:
                self._open()
                assert self._control is not None
                self._asked[number] = about
                socket.send_fds(self._control, [b"cell"], [paper, output[1], notes[1], *channel_fds])
            if not about.begun.wait(ANSWER) or about.held < 0:
                about.given_up = True
                about.let_go()
                raise OSError(f"No cell could be started: {about.failed or 'the worker does not answer'}.")
        except BaseException:
            for fd in (output[0], notes[0]):
                os.close(fd)
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            for fd in (output[1], notes[1], paper):
                os.close(fd)
        cell = WarmCell(outside_id(about.held), about, folder, limits, output[0], notes[0])
        cell.watch()
        return cell

    def close(self) -> None:
        with self._lock:
            self._shut()
            second, self._second = self._second, None
        if second is not None:
            second.close()

    def _other(self) -> Worker:
        """A second worker, for the book's own code, which may import what this process can."""
        with self._lock:
            if self._second is None:
                self._second = Worker(False, self.layers, self.isolation, trusted=True, torch=self.torch)
            return self._second

    def _shut(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            with contextlib.suppress(OSError):
                control.shutdown(socket.SHUT_RDWR)
        if self._process is not None:
            try:
                self._process.wait(5 if control is not None else 0.2)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None
