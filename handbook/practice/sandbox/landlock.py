"""Landlock: files, ports and signals that a process may reach, given up by itself and for good.

Linux 5.13 on; what a kernel lacks is left out of the ruleset and reported. By raw system calls
(man landlock; Documentation/userspace-api/landlock.rst).

Book: machine-learning/coding-for-ml-engineers
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from handbook.practice.sandbox.syscalls import no_new_privileges, raw

VERSION = 1  # flag of landlock_create_ruleset: say the ABI and do nothing
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << b for b in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
SINCE = {13: 2, 14: 3, 15: 5}  # bit of a right on files to the ABI that brought it
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # rights that mean something on a file
READ = EXECUTE | READ_FILE | READ_DIR
OWN = (
    READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE
) & ~EXECUTE
NET_TCP = 0b11  # bind and connect, ABI 4
SCOPED = 0b11  # abstract sockets and signals, ABI 6


def abi() -> int:
    """The version of Landlock that this kernel speaks; 0 where it has none or it is switched off."""
    try:
        return raw("landlock_create_ruleset", None, 0, VERSION)
    except (OSError, KeyError):
        return 0


def contains(version: int) -> tuple[str, ...]:
    """What a ruleset of that ABI holds, in words."""
    found = []
    if version >= 1:
        found.append("files")
    if version >= 4:
        found.append("TCP")
    if version >= 6:
        found.append("signals and abstract sockets")
    return tuple(found)


def handled(version: int) -> tuple[int, int, int]:
    """Rights on files, on ports, and scopes that a ruleset of that ABI may govern."""
    files = sum(1 << bit for bit in range(16) if SINCE.get(bit, 1) <= version)
    return files, NET_TCP if version >= 4 else 0, SCOPED if version >= 6 else 0


def restrict(
    read: Iterable[str], own: Iterable[str], devices: Iterable[str] = (), names: Iterable[str] = ()
) -> int:
    """Leave this process (and all its threads to come) these files only; the ABI in force.

    read: files and folders to read; own: folders to read and write; devices: files to read and write;
    names: folders whose names may be listed, no more. What isn't there is passed over. Everything else on
    files, TCP, abstract sockets and signals to outside is refused. Raises OSError without Landlock.
    """
    version = raw("landlock_create_ruleset", None, 0, VERSION)
    files, ports, scopes = handled(version)
    attributes = struct.pack("=QQQ", files, ports, scopes)
    size = {1: 8, 2: 8, 3: 8, 4: 16, 5: 16}.get(version, 24)
    ruleset = raw("landlock_create_ruleset", ctypes.create_string_buffer(attributes[:size], size), size, 0)
    try:
        for rights, paths in ((READ, read), (OWN, own), (READ_FILE | WRITE_FILE, devices), (READ_DIR, names)):
            for path in paths:
                _allow(ruleset, path, rights & files)
        no_new_privileges()
        raw("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            rights &= OF_FILES
        rule = struct.pack("=Qi", rights, beneath)  # struct landlock_path_beneath_attr is packed
        raw("landlock_add_rule", ruleset, 1, ctypes.create_string_buffer(rule, len(rule)), 0)
    finally:
        os.close(beneath)
