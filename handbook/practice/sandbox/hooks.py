"""Names for what a submission reached for, by an audit hook in its own process (PEP 578).

This protects nothing: a submission can get around it. It tells the person what was tried; that it failed is
the kernel's doing.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
MOST = 40  # notes that one cell writes
LONGEST = 200  # characters of what was reached for

NETWORK: tuple[str, ...] = (
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
)
NETWORK += ("socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo", "urllib.Request")
PROCESSES: tuple[str, ...] = (
    "os.fork",
    "os.forkpty",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
)
PROCESSES += ("subprocess.Popen", "os.startfile")
SIGNALS = ("os.kill", "os.killpg")
QUIET: tuple[str, ...] = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys",
    "/proc/self/maps",
    "/proc/self/status",
    "/sys",
)
QUIET += (
    "/etc/os-release",
    "/usr/lib",
    "/etc/mime.types",
    "/usr/share",
)  # what libraries look at by themselves
FILES = ("os.listdir", "os.scandir", "os.chdir", "os.walk", "os.readlink")  # of these the first argument
WRITES: tuple[str, ...] = (
    "os.remove",
    "os.rename",
    "os.link",
    "os.symlink",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "os.chmod",
)
WRITES += ("os.chown", "os.utime")
NATIVE = {
    "processes": ("fork", "vfork", "clone", "execve", "execv", "execvp", "system", "popen", "posix_spawn"),
    "network": ("socket", "connect", "bind", "sendto", "getaddrinfo"),
    "signals": ("kill", "killpg", "tgkill", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open"),
    "files": ("open", "fopen", "mount", "unlink"),
}


def _classify(
    event: str, arguments: tuple[Any, ...], inside: Callable[[object, bool], bool]
) -> tuple[str, str]:
    """The kind of an event and what to call it; ("", "") where it is nothing to speak of."""
    first = arguments[0] if arguments else ""
    if event == "open":
        path = str(os.fsdecode(first)) if isinstance(first, str | bytes) else ""
        if path.startswith("/proc/") and path.endswith("/environ"):
            return "environment", f"Opened {path}."
        if path and not inside(path, _writes(*arguments[1:3])) and not _looking():
            return "files", f"Opened {path}."
    elif event in NETWORK:
        return "network", f"{event}{_said(arguments[1:] if event.startswith('socket.') else arguments)}"
    elif event == "socket.__new__" and len(arguments) > 1 and arguments[1] != -1 and not _pair():
        return "network", f"Made a socket of family {int(arguments[1])}."
    elif event in PROCESSES:
        return "processes", f"{event}{_said(arguments[:2])}"
    elif event in SIGNALS:
        return "signals", f"{event}{_said(arguments)}"
    elif event in FILES or event in WRITES:
        paths = [path for path in arguments[:2] if isinstance(path, str | bytes)]
        if any(not inside(path, event in WRITES) for path in paths) and not _looking():
            return "files", f"{event}{_said(tuple(paths))}"
    elif event == "ctypes.dlsym":
        name = arguments[1] if len(arguments) > 1 else ""
        if name == "syscall":
            return "processes", "Looked up syscall in a native library."
        for kind, names in NATIVE.items():
            if name in names:
                return kind, f"Looked up {name} in a native library."
    return "", ""


def _pair() -> bool:
    """Whether the socket that is being made is one of a pair, which is allowed."""
    frame = sys._getframe(3)  # this, _classify and the hook are on top of it
    for _ in range(2):
        if frame is not None and frame.f_code.co_name == "socketpair":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _writes(mode: object = None, flags: object = None) -> bool:
    """Whether a file is opened to be changed."""
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def _said(arguments: tuple[object, ...]) -> str:
    return (
        f"({', '.join(repr(a)[:80] for a in arguments if isinstance(a, str | bytes | int | tuple | list))})"
    )


def _looking() -> bool:
    """Whether Python looks for the source of a line to print it in a traceback."""
    frame = sys._getframe(1)
    for _ in range(8):
        if frame is None:
            return False
        if frame.f_globals.get("__name__") in ("linecache", "tokenize", "importlib._bootstrap_external"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def watch(notes: int, folder: str, readable: Iterable[str], threads: int) -> None:
    """Write a line of JSON to `notes` for each new thing that code of this process reaches for.

    folder: what it may write to; readable: what it may read; threads: how many it may have.
    """
    roots = tuple({folder, *readable, *QUIET})
    told: set[tuple[str, str]] = set()
    write, dumps, join, normal = os.write, json.dumps, os.path.join, os.path.normpath
    busy: list[int] = []
    start = _thread.start_new_thread

    def inside(path: object, changed: bool) -> bool:
        text = os.fsdecode(path) if isinstance(path, str | bytes) else ""
        whole = normal(join(folder, text))
        places = (folder, *DEVICES) if changed else roots
        return any(whole == root or whole.startswith(root.rstrip("/") + "/") for root in places)

    def tell(kind: str, what: str) -> None:
        if kind and (kind, what) not in told:
            told.add((kind, what))
            write(notes, dumps({"kind": kind, "what": what[:LONGEST]}).encode() + b"\n")

    def begin(*arguments: Any, **named: Any) -> int:
        try:
            return start(*arguments, **named)
        except RuntimeError:
            with contextlib.suppress(OSError):
                tell("threads", f"Started more threads than the {threads} that there may be.")
            raise

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if busy or len(told) >= MOST:
            return
        busy.append(1)
        try:
            tell(*_classify(event, arguments, inside))
        except BaseException:  # naming must not disturb what it names
            return
        finally:
            busy.clear()

    threading._start_new_thread = begin  # type: ignore[attr-defined]
    sys.addaudithook(hook)
