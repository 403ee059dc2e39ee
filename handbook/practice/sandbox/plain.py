"""A cell as a process of its own, started cold: limits everywhere; under Linux Landlock and seccomp too.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import handbook
from handbook.practice.sandbox.cell import Cell
from handbook.practice.sandbox.libraries import interpreter, modules, readable, search_path
from handbook.practice.sandbox.limits import Limits, environment, user_threads
from handbook.practice.sandbox.namespaces import CELL
from handbook.practice.sandbox.sandbox import Sandbox
from handbook.practice.verdicts import Isolation

BOOT = Path(__file__).with_name("boot.py")
ROOT = Path(handbook.__file__).parent.parent


def start_cold(program: Path = BOOT) -> list[str]:
    """The command of an interpreter that takes nothing from its surroundings."""
    return [interpreter(), "-I", "-S", "-B", "-X", "utf8", str(program)]


def trusting(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The plan for the book's own code: all that this process imports can be, and no other file be read;
    no new processes, no network."""
    path = [folder for folder in sys.path if folder]
    private = {Path.home().resolve(), Path.cwd().resolve()}  # `python -m` puts where it was started there
    read = [folder for folder in path if Path(folder).resolve() not in private]
    return {**plan, "path": path, "modules": None, "read": [*readable(), str(ROOT), *read]}


class ColdCell(Cell):
    """Holds its process and its folder, both of which go with it."""

    def __init__(
        self, process: subprocess.Popen[bytes], folder: Path, limits: Limits, output: int, notes: int
    ) -> None:
        super().__init__(process.pid, limits, output, notes)
        self._process, self._folder = process, folder
        self._ended = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None

    def _poll(self) -> int | None:
        if hasattr(os, "waitid"):  # not on macOS
            look = os.WEXITED | os.WNOHANG | os.WNOWAIT
            if os.waitid(os.P_PID, self._process.pid, look) is None:
                return None
            self._end()  # what it left in its group, while the group's number is surely its own
        pid, status, used = os.wait4(self._process.pid, os.WNOHANG)
        if not pid:
            return None
        self._process.returncode = code = os.waitstatus_to_exitcode(status)
        self._cpu = max(self._cpu, used.ru_utime + used.ru_stime)
        return code

    def _wakes(self) -> int | None:
        return self._ended

    def _end(self) -> None:
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _tidy(self) -> None:
        if self._ended is not None:
            os.close(self._ended)
        shutil.rmtree(self._folder, ignore_errors=True)


def check_names(files: Mapping[str, bytes]) -> None:
    """Raises ValueError for a name that is more than a name."""
    for name in files:
        if name != Path(name).name or name in ("", ".", ".."):
            raise ValueError(f"Expected a file name without folders, got {name!r}.")


class Plain(Sandbox):
    """Cells that are plain processes. layers: of the kernel's, the ones that were seen to work here."""

    cell = ColdCell

    def __init__(
        self, layers: Sequence[str] = ("landlock", "seccomp"), isolation: Isolation | None = None
    ) -> None:
        self.layers = tuple(layers)
        self.isolation = isolation or Isolation("process", ("limits", *self.layers))

    def start(
        self,
        main: str,
        channel_fds: Sequence[int],
        limits: Limits,
        files: Mapping[str, bytes] | None = None,
        trusted: bool = False,
    ) -> Cell:
        check_names(files or {})
        folder = Path(tempfile.mkdtemp(prefix="handbook-cell-")).resolve()
        output, notes = os.pipe(), os.pipe()
        try:
            for name, content in (files or {}).items():
                (folder / name).write_bytes(content)
            inside = str(folder) if trusted else self.inside(str(folder))
            plan = self.plan(main, channel_fds, notes[1], limits, inside)
            if trusted:
                plan = trusting(plan)
            process = subprocess.Popen(
                start_cold() if trusted else self.command(str(folder), limits),
                cwd=folder,
                env=environment(inside),
                stdin=subprocess.PIPE,
                stdout=output[1],
                stderr=output[1],
                pass_fds=[*channel_fds, notes[1]],
                start_new_session=True,
            )
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(json.dumps(plan).encode() + b"\n")
        except BaseException:
            for fd in (output[0], notes[0]):
                os.close(fd)
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            os.close(output[1])
            os.close(notes[1])
        cell = (ColdCell if trusted else self.cell)(process, folder, limits, output[0], notes[0])
        cell.folder = None if inside == CELL else folder
        cell.watch()
        return cell

    def inside(self, folder: str) -> str:
        """Where a cell finds its folder."""
        return folder

    def command(self, folder: str, limits: Limits) -> list[str]:
        """What starts the interpreter."""
        return start_cold()

    def plan(
        self, main: str, channels: Sequence[int], notes: int, limits: Limits, folder: str
    ) -> dict[str, Any]:
        """What boot.py reads."""
        return {
            "root": str(ROOT),
            "path": search_path(),
            "main": main,
            "channels": list(channels),
            "notes": notes,
            "cwd": folder,
            "parent": os.getpid(),
            "limits": limits.asdict(),
            "threads": user_threads(),
            "confine": self.layers,
            "read": readable(),
            "modules": modules(),
        }
