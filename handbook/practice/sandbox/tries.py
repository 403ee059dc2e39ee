"""Tries what this system allows, in processes that go away: `python -I -S tries.py`, the plan on stdin.

Prints JSON: {"landlock": ABI, "seccomp": bool, "namespaces": bool, "why": {layer: what the system said}}.
Each try does what a cell does later, so that what is reported as there is what was seen to work.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    sys.path[:] = [plan["root"], *plan["path"]]
    from handbook.practice.sandbox import landlock, namespaces, seccomp, syscalls

    def files() -> None:
        landlock.restrict(["/usr/lib"], ["/dev/shm"])
        _refused(lambda: os.scandir("/"))

    def calls() -> None:
        seccomp.install(os.getpid())
        _refused(os.fork)

    def spaces() -> None:
        user, group = os.getuid(), os.getgid()
        syscalls.unshare(namespaces.ALL)
        namespaces.map_users("self", 0, user, (0, group))
        _in_child(inner)

    def inner() -> None:
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
        own = os.open("/proc/self/ns/pid", os.O_RDONLY)
        namespaces.make_root(plan["shown"], plan["hidden"])
        namespaces.new_process_space(own)
        _in_child(lambda: innermost(proc))

    def innermost(proc: int) -> None:
        namespaces.enter(0, proc, 1 << 20)
        os.close(proc)
        syscalls.drop_capabilities()
        if os.getpid() != 1 or os.path.lexists("/proc") or os.path.lexists("/home"):
            raise OSError("The namespaces are not those of a cell.")
        _refused(
            lambda: os.mkdir("/outside")  # noqa: PTH102
        )

    why: dict[str, str] = {}
    version = landlock.abi()
    said = {
        "landlock": version if _tried(files, "landlock", why) else 0,
        "seccomp": _tried(calls, "seccomp", why),
        "namespaces": _tried(spaces, "namespaces", why),
        "why": why,
    }
    print(json.dumps(said))


def _refused(step: Callable[[], Any]) -> None:
    try:
        step()
    except OSError:
        return
    raise OSError("What should be refused was allowed.")


def _in_child(step: Callable[[], None]) -> None:
    """Run it in a fork. Raises OSError with what it raised."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        said = ""
        try:
            step()
        except BaseException as error:
            said = str(error) or type(error).__name__
        os.write(writing, said.encode()[:500])
        os._exit(1 if said else 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        what = answer.read().decode("utf-8", "replace")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(what or f"The trial ended with status {status}.")


def _tried(step: Callable[[], None], name: str, why: dict[str, str]) -> bool:
    try:
        _in_child(step)
    except OSError as error:
        why[name] = str(error)
        return False
    return True


if __name__ == "__main__":
    main()
