"""Which sandbox: the strongest that this system has, or the one that the setting `judge_isolation` names.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import sys
from typing import Any, Literal

from handbook.errors import IsolationError
from handbook.practice.sandbox.detect import Found, found
from handbook.practice.sandbox.limits import MEBI, Limits
from handbook.practice.sandbox.namespaces import SPACES
from handbook.practice.sandbox.sandbox import Sandbox
from handbook.practice.verdicts import Isolation

Name = Literal["worker", "bubblewrap", "process"]
NAMES: tuple[Name, ...] = ("worker", "bubblewrap", "process")
WEIGHED = "filling the disk for a moment: its folder is weighed a few times a second"
ALWAYS = ("time, memory, output and open files beyond the limits",)
READING, WRITING = "reading files other than Python's libraries", "writing outside a folder of its own"
NETWORK, STARTING, SIGNALS = "the network", "starting processes", "signals to other processes"
HARMFUL = (READING, WRITING, NETWORK, STARTING, SIGNALS)
KERNEL = "faults of the kernel itself, and what can be learned from how long things take"


def open_sandbox(settings: Any = None) -> Sandbox:
    """The sandbox, not yet started. Raises IsolationError where the named one can't be had here."""
    isolation, has = isolation_of(settings), found()
    if isolation.name == "bubblewrap":
        from handbook.practice.sandbox.bubble import Bubblewrap

        return Bubblewrap(has.layers, isolation)
    if isolation.name == "worker":
        from handbook.practice.sandbox.worker import Worker

        return Worker(has.namespaces, has.layers, isolation)
    from handbook.practice.sandbox.plain import Plain

    return Plain(has.layers, isolation)


def isolation_of(settings: Any = None) -> Isolation:
    """What would hold a submission with these settings; starts nothing (looks once what works here).

    Raises IsolationError where the setting names what can't be had.
    """
    wanted = str(getattr(settings, "judge_isolation", None) or "auto")
    has = found()
    able = _able(has)
    if wanted != "auto" and wanted not in NAMES:
        raise IsolationError(
            f"Expected judge_isolation to be one of auto, {', '.join(NAMES)}, got {wanted!r}.", "Correct it."
        )
    if wanted != "auto" and wanted not in able:
        reason = has.why.get("bubblewrap" if wanted == "bubblewrap" else "seccomp", "")
        raise IsolationError(
            f"The judge can't run its cells by {wanted} here. {reason}".strip(),
            f"Set judge_isolation to one of: auto, {', '.join(able)}.",
        )
    name: Name = next(n for n in able if wanted in ("auto", n))
    return describe(name, has)


def _able(has: Found) -> list[Name]:
    """What can be had, strongest first."""
    if sys.platform == "win32":
        raise IsolationError(
            "The judge runs under Linux and macOS only: Windows has no process limits of this kind.",
            "Use the Windows Subsystem for Linux.",
        )
    able: list[Name] = ["process"]
    if has.seccomp or has.namespaces:  # else what a fork of the worker starts could outlive it
        able.insert(0, "worker")
    if has.bubblewrap:
        able.insert(1 if has.namespaces and has.seccomp else 0, "bubblewrap")
    return able


def describe(name: Name, has: Found) -> Isolation:
    """The layers in force, and in words what they contain and what not."""
    spaces = name == "bubblewrap" or (name == "worker" and has.namespaces)
    layers = [*(("bubblewrap",) if name == "bubblewrap" else ()), *((SPACES,) if spaces else ()), "limits"]
    layers += [
        *((f"Landlock {has.landlock}",) if has.landlock else ()),
        *(("seccomp",) if has.seccomp else ()),
    ]
    room = Limits().file_bytes // MEBI
    holds = {
        READING: spaces or has.landlock >= 1,
        WRITING: spaces or has.landlock >= 3,
        f"filling the disk: its folder holds {room} MiB": spaces,
        NETWORK: spaces or has.seccomp,
        STARTING: has.seccomp,
        SIGNALS: spaces or has.seccomp,
        "looking into other processes": spaces or has.seccomp or has.landlock >= 1,
        "system calls that reach deep into the kernel": has.seccomp,
    }
    left = [WEIGHED if what.startswith("filling") else what for what, held in holds.items() if not held]
    contained = (*ALWAYS, *(what for what, held in holds.items() if held))
    return Isolation(name, tuple(layers), contained, (*left, KERNEL))


def contains_strangers(isolation: Isolation) -> bool:
    """Whether this is enough for the code of people who are not the owner of the machine."""
    return SPACES in isolation.layers and "seccomp" in isolation.layers


def needs_consent(isolation: Isolation) -> bool:
    """Whether a submission could do harm here as the person who runs it; then the person is asked first."""
    return any(what in isolation.open for what in HARMFUL)


def require_isolation(settings: Any = None) -> Isolation:
    """For a server at its start: with the setting `shared`, raise IsolationError without enough isolation."""
    isolation = isolation_of(settings)
    if getattr(settings, "shared", False) and not contains_strangers(isolation):
        raise IsolationError(
            "This server is set to be shared, and its judge can't isolate submissions in namespaces with a "
            f"system call filter. Not contained: {'; '.join(isolation.open)}.",
            "Allow user namespaces or install bubblewrap, or set shared to false.",
        )
    return isolation
