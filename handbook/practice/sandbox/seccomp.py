"""A seccomp filter: which system calls a cell may make, and with which arguments.

A list of what is allowed, so that what a newer kernel brings is refused until somebody thought about it.
No process can be made (threads can), no socket but a pair, no signal sent to another process, and nothing
that changes namespaces, mounts, users, keys or the kernel. Calls that are refused fail with EPERM; `clone3`
and what is not in our tables fail with ENOSYS, so that the C library falls back to older ones.

The filter is classic BPF (man seccomp; Documentation/userspace-api/seccomp_filter.rst), assembled here.

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import ctypes
import errno
import functools
import platform
import struct
from collections.abc import Iterator, Sequence

from handbook.practice.sandbox.numbers import CHECKED, HARMLESS, MACHINES, REFUSED, numbers
from handbook.practice.sandbox.syscalls import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    CLONE_THREAD,
    no_new_privileges,
    raw,
)

LOAD, AND, RETURN = 0x20, 0x54, 0x06  # BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_RET|K
EQUAL, AT_LEAST = 0x15, 0x35  # BPF_JMP|JEQ|K, BPF_JMP|JGE|K
NUMBER, MACHINE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
ALLOW, KILL = 0x7FFF0000, 0x80000000  # SECCOMP_RET_*
REFUSE, ABSENT = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
X32 = 0x40000000  # calls of the x32 ABI begin here: the same work under other numbers
NEW = (
    CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP
)
SPACES = (NEW | CLONE_NEWTIME) & ~0xFF  # the low byte of clone's flags is a signal's number

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand
Check = tuple[int, int, Sequence[int]]  # which argument, mask of its low half, allowed values

FILE_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)  # fcntl: no F_SETOWN, F_SETSIG, F_SETPIPE_SZ
TERMINAL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # ioctl: TCGETS WINSZ FIONREAD FIONBIO FIO(N)CLEX


def checks(pid: int) -> dict[str, tuple[Check, ...]]:
    """What the arguments of each of numbers.CHECKED must be, for a process of this id."""
    return {
        "clone": ((0, SPACES | CLONE_THREAD, (CLONE_THREAD,)),),  # a thread, in no new namespace
        "kill": ((0, 0xFFFFFFFF, (pid,)),),
        "tgkill": ((0, 0xFFFFFFFF, (pid,)),),
        "socketpair": (
            (0, 0xFFFFFFFF, (1,)),
            (1, 0xF, (1,)),
        ),  # AF_UNIX, SOCK_STREAM: has no address to send to
        "prctl": ((0, 0xFFFFFFFF, (15, 16)),),  # PR_SET_NAME, PR_GET_NAME
        "ioctl": ((1, 0xFFFFFFFF, TERMINAL),),
        "fcntl": ((1, 0xFFFFFFFF, FILE_COMMANDS),),
        "prlimit64": ((0, 0xFFFFFFFF, (0,)),),  # of itself, and its hard limits are as its soft ones
        # no MSG_OOB: urgent data on AF_UNIX, which nobody here needs and which held CVE-2025-38236
        **dict.fromkeys(("sendto", "recvfrom"), ((3, 1, (0,)),)),
        **dict.fromkeys(("sendmsg", "recvmsg"), ((2, 1, (0,)),)),
        "arch_prctl": ((0, 0xFFFFFFFF, (0x1021, 0x1022, 0x1023)),),  # ARCH_*_XCOMP_*: oneDNN asks for AMX
    }


def assemble(pid: int, machine: str | None = None) -> list[Instruction]:
    """The filter for a process of this id, as instructions."""
    machine = machine or platform.machine()
    column, audited = MACHINES[machine]
    program: list[Instruction] = [(LOAD, 0, 0, MACHINE), (EQUAL, 1, 0, audited), (RETURN, 0, 0, KILL)]
    program.append((LOAD, 0, 0, NUMBER))
    if column == 0:
        program += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, ABSENT)]
    for number in numbers(HARMLESS, machine).values():
        program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    wanted = checks(pid)
    for name, number in numbers(CHECKED, machine).items():
        body = list(_checking(wanted[name]))
        program += [(EQUAL, 0, len(body), number), *body]
    for name, number in numbers(REFUSED, machine).items():
        program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ABSENT if name == "clone3" else REFUSE)]
    program.append((RETURN, 0, 0, ABSENT))
    return program


def _checking(wanted: Sequence[Check]) -> Iterator[Instruction]:
    """Each argument in turn: its low half, masked, is one of the values, else refused."""
    for argument, mask, values in wanted:
        yield (LOAD, 0, 0, ARGUMENTS + 8 * argument)
        yield (AND, 0, 0, mask)
        for left, value in zip(range(len(values) - 1, -1, -1), values, strict=True):
            yield (EQUAL, left + 1, 0, value)  # over the values that are left, and the refusal
        yield (RETURN, 0, 0, REFUSE)
    yield (RETURN, 0, 0, ALLOW)


@functools.cache
def packed(pid: int) -> bytes:
    """The filter as the kernel reads it. The worker asks for it before it forks, since that takes a while."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in assemble(pid))


def install(pid: int) -> None:
    """Put the filter on this process, for good. Raises OSError, KeyError on a machine that is not known."""
    program = packed(pid)
    held = ctypes.create_string_buffer(program, len(program))
    length = len(program) // 8
    header = struct.pack("@HP", length, ctypes.addressof(held))
    no_new_privileges()
    # SECCOMP_SET_MODE_FILTER, with TSYNC: all threads, should there be any; else it says which one it missed
    if raw("seccomp", 1, 1, ctypes.create_string_buffer(header, len(header))):
        raise OSError(errno.EBUSY, "A thread of this process can't be put under the filter.")
