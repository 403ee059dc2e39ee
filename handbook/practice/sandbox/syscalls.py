"""System calls that Python has no function for, through the C library. Raises OSError by errno.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Any

from handbook.practice.sandbox.numbers import REFUSED, numbers

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_NEWCGROUP, CLONE_NEWTIME, CLONE_THREAD = 0x02000000, 0x00000080, 0x00010000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 28, 38, 47


@functools.cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def raw(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """A system call of numbers.REFUSED by name. Numbers are passed as 64 bits, bytes as pointers."""
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _checked(int(_libc().syscall(ctypes.c_long(numbers(REFUSED)[name]), *passed)), name)


def prctl(option: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
    longs = [ctypes.c_ulong(value) for value in (a, b, c, d)]
    return _checked(int(_libc().prctl(ctypes.c_int(option), *longs)), f"prctl {option}")


def unshare(flags: int) -> None:
    raw("unshare", flags)


def setns(fd: int, kind: int) -> None:
    raw("setns", fd, kind)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    raw("mount", source.encode(), target.encode(), kind.encode() or None, flags, data.encode() or None)


def umount(target: str) -> None:
    raw("umount2", target.encode(), MNT_DETACH)


def pivot_root(new: str, old: str) -> None:
    raw("pivot_root", new.encode(), old.encode())


def no_new_privileges() -> None:
    """From here on no program that is run gains a right. Landlock and seccomp want it."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up every capability, also those that a user namespace gave, and the way back to them."""
    prctl(PR_CAP_AMBIENT, 4)  # PR_CAP_AMBIENT_CLEAR_ALL
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # EINVAL: more than this kernel has; EPERM: not ours to drop, and we have none
            break
    header = (0x20080522).to_bytes(4, "little") + bytes(4)  # _LINUX_CAPABILITY_VERSION_3, this process
    raw("capset", ctypes.create_string_buffer(header, 8), ctypes.create_string_buffer(24))
