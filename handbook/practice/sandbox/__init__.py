"""Cells that contain untrusted Python: a process with an empty folder, limits, and nothing else in reach.

    sandbox = open_sandbox(settings)
    here, there = socket.socketpair()
    cell = sandbox.start("handbook.practice.inner:main", [there.fileno()], Limits(wall=10))
    there.close()

`Sandbox.isolation` says what is in force; `Cell.ended` and `Cell.incidents` say what was stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handbook.practice.sandbox.cell import Cell as Cell
    from handbook.practice.sandbox.limits import Limits as Limits
    from handbook.practice.sandbox.opened import open_sandbox as open_sandbox
    from handbook.practice.sandbox.sandbox import Sandbox as Sandbox

PLACES = {"Cell": "cell", "Limits": "limits", "Sandbox": "sandbox", "open_sandbox": "opened"}


def __getattr__(name: str) -> Any:
    """Import on first use: what runs inside a cell shares this package and wants none of it."""
    import importlib

    if name not in PLACES:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"{__name__}.{PLACES[name]}"), name)
