"""Cells that bubblewrap starts, cold: for systems where it is allowed to make namespaces and we are not.

The program `bwrap` makes the namespaces and the root; inside, the cell puts on Landlock and seccomp itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from handbook.practice.sandbox import libraries
from handbook.practice.sandbox.detect import program
from handbook.practice.sandbox.limits import Limits
from handbook.practice.sandbox.namespaces import CELL
from handbook.practice.sandbox.plain import ROOT, Plain, start_cold
from handbook.practice.verdicts import Isolation

NEEDED = ("__init__.py", "errors.py", "practice")  # of the handbook: what a cell's `main` is made of


class Bubblewrap(Plain):
    """As `Plain`, with bwrap around it."""

    def __init__(self, layers: Sequence[str] = (), isolation: Isolation | None = None) -> None:
        super().__init__(layers, isolation or Isolation("bubblewrap", ("bubblewrap", "limits", *layers)))

    def command(self, folder: str, limits: Limits) -> list[str]:
        path = program()
        if path is None:
            raise OSError("The program bwrap is not installed.")
        command = [
            path,
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--as-pid-1",
            "--cap-drop",
            "ALL",
        ]
        command += ["--hostname", "cell", "--dev", "/dev"]
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

    def inside(self, folder: str) -> str:
        return CELL
