"""Names for what a submission reached for, by an audit hook in its own process (PEP 578).

This protects nothing: a submission can get around it. It tells the person what was tried; that it failed is
the kernel's doing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable

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


def _classify(event: str, arguments: tuple[object, ...], inside: Callable[[object], bool]) -> tuple[str, str]:
    """The kind of an event and what to call it; ("", "") where it is nothing to speak of."""
    first = arguments[0] if arguments else ""
    if event == "open":
        path = str(os.fsdecode(first)) if isinstance(first, str | bytes) else ""
        if path.startswith("/proc/") and path.endswith("/environ"):
            return "environment", f"Opened {path}."
        if path and not inside(path) and not _looking():
            return "files", f"Opened {path}."
    elif event in NETWORK:
        return "network", f"{event}{_said(arguments[1:] if event.startswith('socket.') else arguments)}"
    elif event == "socket.__new__" and len(arguments) > 1 and arguments[1] not in (1, -1):
        return "network", f"Made a socket of family {int(str(int(arguments[1])))}."  # type: ignore[call-overload]
    elif event in PROCESSES:
        return "processes", f"{event}{_said(arguments[:2])}"
    elif event in SIGNALS:
        return "signals", f"{event}{_said(arguments)}"
    elif event in FILES or event in WRITES:
        paths = [path for path in arguments[:2] if isinstance(path, str | bytes)]
        if any(not inside(path) for path in paths) and not _looking():
            return "files", f"{event}{_said(tuple(paths))}"
    elif event == "ctypes.dlsym":
        name = arguments[1] if len(arguments) > 1 else ""
        if name == "syscall":
            return "processes", "Looked up syscall in a native library."
        for kind, names in NATIVE.items():
            if name in names:
                return kind, f"Looked up {name} in a native library."
    return "", ""


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


def watch(notes: int, folder: str, readable: Iterable[str]) -> None:
    """Write a line of JSON to `notes` for each new thing that code of this process reaches for."""
    roots = tuple({os.path.realpath(path) for path in (folder, *readable)} | {folder, *readable})
    told: set[tuple[str, str]] = set()
    write, dumps, join, normal = os.write, json.dumps, os.path.join, os.path.normpath
    busy: list[int] = []

    def inside(path: object) -> bool:
        text = os.fsdecode(path) if isinstance(path, str | bytes) else ""
        whole = normal(join(folder, text))
        return any(whole == root or whole.startswith(root.rstrip("/") + "/") for root in roots)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if busy or len(told) >= MOST:
            return
        busy.append(1)
        try:
            kind, what = _classify(event, arguments, inside)
            if kind and (kind, what) not in told:
                told.add((kind, what))
                write(notes, dumps({"kind": kind, "what": what[:LONGEST]}).encode() + b"\n")
        except BaseException:  # naming must not disturb what it names
            return
        finally:
            busy.clear()

    sys.addaudithook(hook)
