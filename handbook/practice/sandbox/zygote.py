"""The warm worker: starts once, imports NumPy, torch and the judge's modules, and forks a cell per request.

`python -I -S zygote.py`, the plan as a line of JSON on stdin. It speaks over one socket of packets: each
request is a packet with descriptors (the request as JSON in a file of memory, output, notes, channels), each
answer a packet of JSON. It holds nothing of the person's: a clean environment, no files but libraries. Where
namespaces are allowed, it is the first process of a namespace of its own, and with it everything ends.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PRELOADED = (
    "handbook.practice.checks",
    "handbook.practice.frames",
    "handbook.practice.wire",
    "handbook.practice.remote",
    "handbook.practice.classes",
    "handbook.practice.failures",
    "handbook.practice.growth",
    "handbook.practice.inner",
    "handbook.practice.examiner",
    "handbook.practice.sandbox.trial",
)
LIKELY_VICTIM = "500"  # oom_score_adj: when memory is short, a cell goes and not the app


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    sys.path[:] = [plan["root"], *plan["path"]]
    control = socket.socket(fileno=plan["control"])
    try:
        spaces = _spaces(control) if plan["namespaces"] else None
        _load(plan)
        if spaces:
            spaces.close_in(plan)
    except BaseException as error:
        control.send(json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode())
        os._exit(1)
    threads = len(list(Path("/proc/self/task").iterdir())) if spaces is None else spaces.threads
    control.send(
        json.dumps({"ready": True, "users": bool(spaces and spaces.users), "threads": threads}).encode()
    )
    Zygote(control, plan, spaces).serve()


class Spaces:
    """What the worker keeps to give cells namespaces. users: whether each cell can be a user of its own."""

    def __init__(self, users: bool) -> None:
        self.users, self.threads, self.space = users, 1, 0
        self.proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def close_in(self, plan: Mapping[str, Any]) -> None:
        from handbook.practice.sandbox.limits import address_space
        from handbook.practice.sandbox.namespaces import make_root

        self.threads, self.space = len(list(Path("/proc/self/task").iterdir())), address_space()
        make_root(plan["shown"], plan["hidden"])


def _spaces(control: socket.socket) -> Spaces:
    """Move to namespaces of our own, as their first process; the one that began waits outside for us."""
    from handbook.practice.sandbox import namespaces, syscalls

    user, group = os.getuid(), os.getgid()
    syscalls.unshare(namespaces.ALL)
    control.send(json.dumps({"map": os.getpid()}).encode())
    users = control.recv(64) == b"mapped"
    if not users:
        namespaces.map_users("self", 0, user, (0, group))
    child = os.fork()
    if child:
        control.close()
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    return Spaces(users)


def _load(plan: Mapping[str, Any]) -> None:
    """Import everything, use it once, and leave no thread: only the one that forks goes on in a cell."""
    import importlib
    import importlib.util

    from handbook.practice.sandbox.inside import only
    from handbook.practice.sandbox.pages import put_together
    from handbook.practice.sandbox.warming import LIBRARIES, warm

    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(LIKELY_VICTIM, encoding="ascii")
    if plan["modules"] is not None:
        only({*plan["modules"], "handbook"})
    from handbook.practice.sandbox import cells  # noqa: F401

    for name in (*(LIBRARIES if plan["torch"] else ()), *PRELOADED):
        if name not in PRELOADED or importlib.util.find_spec(name):
            importlib.import_module(name)
    if plan["torch"]:
        warm()
    gc.collect()
    gc.freeze()  # so that collections in cells leave the shared pages alone
    put_together()
    if plan["modules"] is not None:
        sys.path.remove(plan["root"])


class Zygote:
    """Forks cells and says how they ended. One thread, no locks: a fork copies nothing half done."""

    def __init__(self, control: socket.socket, plan: Mapping[str, Any], spaces: Spaces | None) -> None:
        self.control, self.plan, self.spaces = control, plan, spaces
        self.poll = select.poll()
        self.poll.register(control.fileno(), select.POLLIN)
        self.cells: dict[int, tuple[int, int]] = {}  # descriptor of a process -> (request, its id)
        self.began = 0
        # imported now: there are no files of the handbook later
        from handbook.practice.sandbox.cells import live
        from handbook.practice.sandbox.limits import address_space
        from handbook.practice.sandbox.namespaces import new_process_space
        from handbook.practice.sandbox.seccomp import packed

        if spaces and "seccomp" in plan["confine"]:
            packed(1)  # made once here: a cell is the first process of its namespace
        self.live, self.space, self.new_process_space = live, address_space, new_process_space

    def serve(self) -> None:
        """Until the other side goes, and then end with every cell."""
        while True:
            for fd, _ in self.poll.poll():
                if fd != self.control.fileno():
                    self._ended(fd)
                elif not self._asked():
                    for held, (_, pid) in self.cells.items():
                        signal.pidfd_send_signal(held, signal.SIGKILL)
                        os.waitpid(pid, 0)
                    os._exit(0)

    def _asked(self) -> bool:
        message, fds, _, _ = socket.recv_fds(self.control, 64, 250)
        if not message:
            return False
        request, *kept = fds
        with os.fdopen(request, "rb") as file:
            file.seek(0)
            asked = json.loads(file.read())
        try:
            pid, held = self._fork(asked, kept)
        except OSError as error:
            self._say({"id": asked["id"], "failed": str(error)})
        else:
            self.cells[held] = (asked["id"], pid)
            self.poll.register(held, select.POLLIN)
            answer = json.dumps({"id": asked["id"], "pid": pid}).encode()
            socket.send_fds(self.control, [answer], [held])
        for fd in kept:
            os.close(fd)
        return True

    def _fork(self, asked: Mapping[str, Any], kept: list[int]) -> tuple[int, int]:
        base = self.spaces.space if self.spaces else self.space()
        if self.spaces:
            self.new_process_space(self.spaces.own)
        self.began += 1
        pid = os.fork()
        if not pid:
            self._cell(asked, kept, base)
        return pid, os.pidfd_open(pid)

    def _cell(self, asked: Mapping[str, Any], kept: list[int], base: int) -> None:
        """In the new process: hold only what was given, move in, and begin. Never returns."""
        try:
            self.control.detach()
            user = 1 + self.began % 50000 if self.spaces and self.spaces.users else 0
            self.live(self.plan, asked, kept, user, self.spaces.proc if self.spaces else -1, base)
        finally:
            os._exit(1)

    def _ended(self, held: int) -> None:
        number, pid = self.cells.pop(held)
        self.poll.unregister(held)
        os.close(held)
        _, status, used = os.wait4(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        seconds, peak = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
        self._say({"id": number, "status": code, "cpu": seconds, "peak": peak})

    def _say(self, answer: Mapping[str, Any]) -> None:
        self.control.send(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
