"""Cells that bubblewrap starts, cold: for systems where it is allowed to make namespaces and we are not.

The program `bwrap` makes the namespaces and the root; inside, the cell puts on Landlock and seccomp itself.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handbook.practice.sandbox import libraries
from handbook.practice.sandbox.detect import program
from handbook.practice.sandbox.limits import Limits
from handbook.practice.sandbox.namespaces import CELL, SPACES
from handbook.practice.sandbox.plain import ROOT, ColdCell, Plain, start_cold
from handbook.practice.verdicts import Isolation

NEEDED = ("__init__.py", "errors.py", "practice")  # of the handbook: what a cell's `main` is made of


WRAPPING: tuple[str, ...] = (
    "--unshare-all",
    "--unshare-user",
    "--uid",
    "1000",
    "--gid",
    "1000",
    "--hostname",
    "cell",
)
WRAPPING += ("--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL", "--dev", "/dev")


class WrappedCell(ColdCell):
    """Its process is bwrap's; what is measured is the one within."""

    def _settle(self) -> None:
        while children := _children(self.pid):
            self.pid = children[0]

    def _poll(self) -> int | None:
        status = super()._poll()
        return 128 - status if status is not None and status > 128 else status  # how bwrap tells a signal


def _children(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


class Bubblewrap(Plain):
    """As `Plain`, with bwrap around it."""

    cell = WrappedCell

    def __init__(self, layers: Sequence[str] = (), isolation: Isolation | None = None) -> None:
        super().__init__(layers, isolation or Isolation("bubblewrap", ("bubblewrap", "limits", *layers)))

    def command(self, folder: str, limits: Limits) -> list[str]:
        path = program()
        if path is None:
            raise OSError("The program bwrap is not installed.")
        command = [path, *WRAPPING]
        package = ROOT / "handbook"
        shown = [*libraries.shown(), *(str(package / name) for name in NEEDED), libraries.interpreter()]
        for place in dict.fromkeys(shown):
            link = Path(place).is_symlink()
            command += (
                ["--symlink", str(Path(place).readlink()), place] if link else ["--ro-bind", place, place]
            )
        for place in libraries.hidden():
            if Path(place).is_dir():
                command += ["--tmpfs", place, "--remount-ro", place]
        command += ["--size", str(limits.file_bytes), "--tmpfs", CELL, "--chdir", CELL]
        for name in sorted(os.listdir(folder)):  # noqa: PTH208
            command += ["--ro-bind", f"{folder}/{name}", f"{CELL}/{name}"]
        command += ["--remount-ro", "/"]
        return [*command, "--", *start_cold()]

    def plan(
        self, main: str, channels: Sequence[int], notes: int, limits: Limits, folder: str
    ) -> dict[str, Any]:
        plan = super().plan(main, channels, notes, limits, folder)
        return {**plan, "parent": None, "threads": limits.processes, "layers": ["bubblewrap", SPACES]}

    def inside(self, folder: str) -> str:
        return CELL
