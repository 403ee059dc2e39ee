"""Namespaces: a process tree, a network, users and a root folder of a cell's own.

The warm worker makes the root once and every cell takes a copy of it; man user_namespaces, mount_namespaces,
pid_namespaces, pivot_root. Works for an ordinary user where the system allows user namespaces.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from handbook.practice.sandbox import syscalls as sys_

SPACES = "namespaces (users, processes, network, mounts, IPC)"
CELL = "/cell"  # the only folder that a cell may write to
ALL = (
    sys_.CLONE_NEWUSER
    | sys_.CLONE_NEWNS
    | sys_.CLONE_NEWPID
    | sys_.CLONE_NEWNET
    | sys_.CLONE_NEWIPC
    | sys_.CLONE_NEWUTS
)
OF_A_CELL = ALL & ~sys_.CLONE_NEWPID  # its process namespace is made before it is forked
FIRST, MANY = 0x70000000, 60000  # users of the machine that cells are where its root starts them: nobody's
INSIDE = 1000  # what a cell's user is called inside
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
READ_ONLY, NO_SETUID, NO_DEVICES = 1, 2, 4  # MOUNT_ATTR_*


def map_users(pid: int | str, inside: int, outside: int, groups: tuple[int, int] | None = None) -> None:
    """Write the maps of a user namespace with one user. Raises OSError where that is not allowed."""
    of = f"/proc/{pid}"
    inner, outer = groups or (inside, outside)
    with contextlib.suppress(FileNotFoundError):
        _write(f"{of}/setgroups", "deny")
    _write(f"{of}/uid_map", f"{inside} {outside} 1")
    _write(f"{of}/gid_map", f"{inner} {outer} 1")


def map_many(pid: int) -> None:
    """Maps for a worker that root starts: root, and users FIRST... for its cells. Raises OSError."""
    for kind in ("uid_map", "gid_map"):
        _write(f"/proc/{pid}/{kind}", f"0 0 1\n1 {FIRST} {MANY}")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def make_root(shown: Sequence[str], hidden: Iterable[str] = ()) -> None:
    """Make a root that holds these files and folders only, read-only, at their paths, and move there.

    For a process with mount and user namespaces of its own. hidden: folders within `shown` that stay empty.
    Afterwards there is no /proc, and CELL is an empty folder. Raises OSError.
    """
    sys_.mount("none", "/", flags=sys_.MS_REC | sys_.MS_PRIVATE)
    wanted = _links_and_places([*shown, *DEVICES])
    base = "/tmp"  # any folder will do: it is covered in this namespace only
    held = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path, link in wanted.items() if not link}
    sys_.mount("tmpfs", base, "tmpfs", sys_.MS_NOSUID | sys_.MS_NODEV, "size=1m,mode=755")
    for path, link in wanted.items():
        target = Path(base + path)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        if link:
            target.symlink_to(link)
    for path, fd in held.items():
        target = Path(base + path)
        if Path(f"/proc/self/fd/{fd}").is_dir():
            target.mkdir(exist_ok=True, parents=True, mode=0o755)
        else:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            target.touch()
        sys_.mount(f"/proc/self/fd/{fd}", str(target), flags=sys_.MS_BIND | sys_.MS_REC)
        os.close(fd)
        _attributes(str(target), READ_ONLY | NO_SETUID | (0 if path in DEVICES else NO_DEVICES))
    for path in hidden:
        if Path(base + path).is_dir():
            sys_.mount("tmpfs", base + path, "tmpfs", sys_.MS_RDONLY, "size=4k,mode=555")
    Path(base + CELL).mkdir(mode=0o755)
    old = Path(f"{base}/old")
    old.mkdir()
    sys_.pivot_root(base, str(old))
    os.chdir("/")
    sys_.umount("/old")
    Path("/old").rmdir()
    _attributes("/", READ_ONLY | NO_SETUID | NO_DEVICES, recursive=False)


def _links_and_places(paths: Iterable[str]) -> dict[str, str]:
    """Path to where it links, "" where it is a place; parents before what lies in them, nothing twice."""
    found: dict[str, str] = {}
    for path in paths:
        real = os.path.realpath(path)
        if not os.path.lexists(real):
            continue
        if Path(path).is_symlink():
            found[path] = real
        found.setdefault(real, "")
    places = sorted(path for path, link in found.items() if not link)
    kept = [path for path in places if not any(path.startswith(other + "/") for other in places)]
    links = {path: link for path, link in found.items() if link}
    beneath = {p: to for p, to in links.items() if not any(p.startswith(k + "/") for k in kept)}
    return {**beneath, **dict.fromkeys(kept, "")}


def _attributes(path: str, wanted: int, recursive: bool = True) -> None:
    """Set attributes of a mount, of all that lies below it too (mount_setattr, Linux 5.12)."""
    attributes = ctypes.create_string_buffer(struct.pack("=QQQQ", wanted, 0, 0, 0), 32)
    sys_.raw("mount_setattr", AT_FDCWD, path.encode(), AT_RECURSIVE if recursive else 0, attributes, 32)


def new_process_space(own: int) -> None:
    """Let the next fork be the first process of a namespace of its own. own: this process's, as a descriptor.

    Linux allows that once, unless one goes back to one's own namespace first (`setns`).
    """
    sys_.setns(own, sys_.CLONE_NEWPID)
    sys_.unshare(sys_.CLONE_NEWPID)


def enter(user: int, proc: int, size: int) -> None:
    """For a forked cell: become `user` of the worker's namespace, with namespaces and a folder of its own.

    user: 0 to remain who one is; proc: descriptor of /proc; size: bytes that the folder may hold.
    """
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        sys_.prctl(sys_.PR_SET_DUMPABLE, 1)  # else its own files in /proc are not its own
    sys_.unshare(OF_A_CELL)
    os.fchdir(proc)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{INSIDE} {user} 1"),
        ("gid_map", f"{INSIDE} {user} 1"),
    ):
        _write(f"self/{name}", text)
    sys_.mount("none", "/", flags=sys_.MS_REC | sys_.MS_PRIVATE)
    flags = sys_.MS_NOSUID | sys_.MS_NODEV
    sys_.mount("tmpfs", CELL, "tmpfs", flags, f"size={size},nr_inodes=1024,mode=700")
    os.chdir(CELL)
