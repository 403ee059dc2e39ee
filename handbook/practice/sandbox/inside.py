"""What a cell does in itself before its `main` runs: close what it must not hold, and shut the doors.

A layer that was asked for and can't be put on ends the cell: nothing untrusted runs half confined.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from handbook.practice.sandbox.limits import COLD_ROOM, Limits, address_space, resident, set_limits

FAILED = 113  # exit status of a cell whose confinement could not be put on
Main = Callable[..., object]


def resolve(name: str) -> Main:
    """The function that `module:function` names."""
    module, _, function = name.partition(":")
    found: Main = getattr(importlib.import_module(module), function)
    return found


def begin(main: Main, plan: Mapping[str, Any]) -> None:
    """Confine this process as planned, say so, run `main` with its sockets, and end. Never returns."""
    status = FAILED
    try:
        notes = plan["notes"]
        channels = [socket.socket(fileno=fd) for fd in plan["channels"]]
        limits = Limits(**plan["limits"])
        os.chdir(plan["cwd"])
        base = address_space() + plan.get("room", COLD_ROOM)
        layers = confine(plan, base, limits)
        said = {"base": resident(), "layers": layers}
        os.set_blocking(notes, False)
        os.write(notes, json.dumps(said).encode() + b"\n")
        status = 1
        main(*channels)
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:  # closed, or replaced by the submission
                continue
        os._exit(status & 0xFF)


def confine(plan: Mapping[str, Any], base: int, limits: Limits) -> list[str]:
    """Put on every layer of the plan, innermost last; their names. Raises OSError where one can't be."""
    set_limits(limits, base, plan.get("threads"))
    return ["limits"]
