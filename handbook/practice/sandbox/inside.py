"""What a cell does in itself before its `main` runs: close what it must not hold, and shut the doors.

A layer that was asked for and can't be put on ends the cell: nothing untrusted runs half confined.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from handbook.practice.sandbox import hooks, landlock, seccomp, syscalls
from handbook.practice.sandbox.limits import COLD_ROOM, Limits, address_space, resident, set_limits
from handbook.practice.sandbox.numbers import known

DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
FAILED = 113  # exit status of a cell whose confinement could not be put on
Main = Callable[..., object]


class Only(importlib.abc.MetaPathFinder):
    """Finds modules on the path as ever, but at the top only those of these names.

    What is installed beside them could not be read, and would look broken instead of absent.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if path is None and fullname not in self.names:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, path, target)


def only(names: Iterable[str]) -> None:
    """Let only these names be imported at the top from here on."""
    kept = [finder for finder in sys.meta_path if not isinstance(finder, Only)]
    sys.meta_path[:] = [finder for finder in kept if finder is not importlib.machinery.PathFinder]
    sys.meta_path.append(Only(names))


def resolve(name: str) -> Main:
    """The function that `module:function` names."""
    module, _, function = name.partition(":")
    found: Main = getattr(importlib.import_module(module), function)
    return found


def _printing(descriptor: int) -> io.TextIOWrapper:
    """A new stream: the worker's own took note of what its descriptors were before they became a pipe."""
    whole = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
    return io.TextIOWrapper(whole, "utf-8", "backslashreplace", line_buffering=descriptor == 2)


def begin(main: Main, plan: Mapping[str, Any]) -> None:
    """Confine this process as planned, say so, run `main` with its channels, and end. Never returns."""
    status = FAILED
    try:
        notes = plan["notes"]
        limits = Limits(**plan["limits"])
        os.chdir(plan["cwd"])
        sys.stdout = sys.__stdout__ = _printing(1)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = _printing(2)  # type: ignore[misc]
        if plan["modules"] is not None:
            only({*plan["modules"], "handbook"})
        base = plan.get("base") or address_space() + COLD_ROOM
        layers = confine(plan, base, limits)
        said = {"base": resident(), "layers": layers}
        os.set_blocking(notes, False)
        os.write(notes, json.dumps(said).encode() + b"\n")
        named = [*(plan.get("named") or plan["read"]), *plan["path"], *DEVICES]
        hooks.watch(notes, plan["cwd"], named, limits.processes)
        status = 1
        main(*plan["channels"])
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
    layers = ["limits", *plan.get("layers", ())]
    set_limits(limits, base, plan.get("threads"))
    wanted = plan["confine"]
    own = plan["cwd"]
    if known():
        syscalls.no_new_privileges()
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
        syscalls.drop_capabilities()
        layers.append("no capabilities")
        _die_with(plan.get("parent"))
        if "landlock" in wanted:
            version = landlock.restrict(plan["read"], [own], DEVICES, plan["path"])
            layers.append(f"Landlock {version}")
        if "seccomp" in wanted:
            seccomp.install(os.getpid())
            layers.append("seccomp")
    return layers


def _die_with(parent: int | None) -> None:
    """End when the thread that started this process ends. parent: its process's id, 0 if out of sight."""
    if parent is None:
        return
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise OSError("The process that asked for this cell is gone.")


def conceal() -> None:
    """Take the handbook out of the loaded modules, so that what runs next can't import it by name.

    Its functions go on working. Nothing secret is in it; a submission that digs finds the code of the wire.
    """
    for name in [name for name in sys.modules if name.partition(".")[0] == "handbook"]:
        del sys.modules[name]
    for finder in sys.meta_path:
        if isinstance(finder, Only):
            finder.names = finder.names - {"handbook"}
