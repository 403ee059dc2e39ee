"""Cells that contain untrusted Python: a process with an empty folder, limits, and nothing else in reach.

    sandbox = open_sandbox(settings)
    here, there = socket.socketpair()
    cell = sandbox.start("handbook.practice.inner:main", [there.fileno()], Limits(wall=10))
    there.close()

`Sandbox.isolation` says what is in force; `Cell.ended` and `Cell.incidents` say what was stopped.
"""

from handbook.practice.sandbox.cell import Cell
from handbook.practice.sandbox.limits import Limits
from handbook.practice.sandbox.opened import open_sandbox
from handbook.practice.sandbox.sandbox import Sandbox

__all__ = ["Cell", "Limits", "Sandbox", "open_sandbox"]
