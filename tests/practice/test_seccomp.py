"""The filter, decided by a small interpreter and by the kernel; its numbers, by the kernel's headers."""

from __future__ import annotations

import errno
import re
import sys
from pathlib import Path

import pytest
from attacks import attack
from hypothesis import given, settings
from hypothesis import strategies as st

from handbook.practice.sandbox import seccomp
from handbook.practice.sandbox.detect import found
from handbook.practice.sandbox.numbers import CHECKED, HARMLESS, MACHINES, REFUSED, known, numbers
from handbook.practice.sandbox.plain import Plain

HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
PID = 4321
THREAD = 0x3D0F00  # what the C library asks of clone for a thread
FORK = 0x1200011


def decide(machine: str, number: int, *arguments: int, of: str | None = None) -> int:
    """What the filter says: the operand of the return that is reached."""
    words = {0: number, 4: MACHINES[of or machine][1]}
    for place, argument in enumerate((*arguments, *[0] * (6 - len(arguments)))):
        words[16 + 8 * place] = argument & 0xFFFFFFFF
    program, at, held = seccomp.assemble(PID, machine), 0, 0
    while True:
        code, yes, no, operand = program[at]
        at += 1
        if code == seccomp.LOAD:
            held = words[operand]
        elif code == seccomp.AND:
            held &= operand
        elif code == seccomp.EQUAL:
            at += yes if held == operand else no
        elif code == seccomp.AT_LEAST:
            at += yes if held >= operand else no
        else:
            assert code == seccomp.RETURN
            return operand


def calls(machine: str) -> dict[str, int]:
    return {
        name: number
        for table in (HARMLESS, CHECKED, REFUSED)
        for name, number in numbers(table, machine).items()
    }


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_the_kernels(machine: str) -> None:
    header = next((Path(path) for path in HEADERS[machine] if Path(path).exists()), None)
    if header is None:
        pytest.skip(f"no kernel headers for {machine} here")
    said = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    ours = calls(machine)
    renamed = {"newfstatat": "fstatat"} if machine == "aarch64" else {}
    compared = {name: said.get(renamed.get(name, name)) for name in ours}
    assert {n: str(ours[n]) for n in ours if compared[n]} == {n: v for n, v in compared.items() if v}
    assert sum(value is None for value in compared.values()) <= 6  # newer than the headers


@pytest.mark.parametrize("machine", MACHINES)
def test_each_call_is_decided_once(machine: str) -> None:
    names = [e.partition(":")[0] for table in (HARMLESS, CHECKED, REFUSED) for e in table.split()]
    assert len(names) == len(set(names))
    found_numbers = calls(machine)
    assert len(set(found_numbers.values())) == len(found_numbers)
    for name in numbers(HARMLESS, machine):
        assert decide(machine, found_numbers[name]) == seccomp.ALLOW, name
    for name in numbers(REFUSED, machine):
        assert decide(machine, found_numbers[name]) == (
            seccomp.ABSENT if name == "clone3" else seccomp.REFUSE
        ), name


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        (
            "clone",
            [(THREAD,)],
            [(FORK,), (0,), (THREAD | 0x10000000,), (THREAD | 0x20000000,), (0x11 | 0x4000,)],
        ),
        ("kill", [(PID, 9)], [(1, 9), (0, 9), (-1, 9), (-PID, 9)]),
        ("tgkill", [(PID, PID + 1, 6)], [(PID + 1, PID, 6)]),
        ("socketpair", [(1, 1), (1, 0x80801)], [(1, 2), (1, 5), (2, 1), (16, 3)]),
        ("prctl", [(15,), (16,)], [(1,), (4,), (22,), (38,), (59,)]),
        ("ioctl", [(0, 0x5401), (0, 0x541B)], [(0, 0x5412), (0, 0x8901), (0, 0x5423)]),
        ("fcntl", [(3, 1), (3, 3), (3, 1030)], [(3, 8), (3, 10), (3, 1031), (3, 1033)]),
        ("prlimit64", [(0, 7)], [(PID, 7), (1, 7)]),
        ("sendto", [(3, 0, 1, 0), (3, 0, 1, 0x4000)], [(3, 0, 1, 1), (3, 0, 1, 0x4001)]),
        ("recvfrom", [(3, 0, 1, 0), (3, 0, 1, 2)], [(3, 0, 1, 1)]),
        ("sendmsg", [(3, 0, 0x4000)], [(3, 0, 1)]),
        ("recvmsg", [(3, 0, 0)], [(3, 0, 3)]),
        ("arch_prctl", [(0x1023, 18)], [(0x1002, 0), (0x3001, 0)]),
    ],
)
def test_arguments(
    machine: str, name: str, allowed: list[tuple[int, ...]], refused: list[tuple[int, ...]]
) -> None:
    number = numbers(CHECKED, machine).get(name)
    if number is None:
        pytest.skip(f"{machine} has no {name}")
    assert {decide(machine, number, *arguments) for arguments in allowed} == {seccomp.ALLOW}
    assert {decide(machine, number, *arguments) for arguments in refused} == {seccomp.REFUSE}


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(MACHINES)),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 2**64 - 1), max_size=6),
)
def test_nothing_that_is_not_listed_is_allowed(machine: str, number: int, arguments: list[int]) -> None:
    said = decide(machine, number, *arguments)
    listed = {**numbers(HARMLESS, machine), **numbers(CHECKED, machine)}.values()
    assert said != seccomp.ALLOW or number in listed
    other = next(name for name in MACHINES if name != machine)
    assert decide(machine, number, *arguments, of=other) == seccomp.KILL


@pytest.mark.skipif(sys.platform != "linux" or not known(), reason="Linux on x86-64 or ARM")
def test_the_kernel_refuses_them_all() -> None:
    if not found().seccomp:
        pytest.skip(f"no seccomp here: {found().why}")
    source = f"""
import ctypes
call, answer = ctypes.CDLL(None, use_errno=True).syscall, {{}}
for name, number in {numbers(REFUSED)!r}.items():
    answer[name] = ctypes.get_errno() if call(number, 0, 0, 0, 0, 0, 0) == -1 else "done"
answer["x32 fork"] = ctypes.get_errno() if call(0x40000000 + 57) == -1 else "done"
"""
    outcome = attack(Plain(["seccomp"]), source)
    assert outcome.value is not None, outcome.cell.ended
    assert {name for name, said in outcome.value.items() if said not in (errno.EPERM, errno.ENOSYS)} == set()
    assert outcome.value["ptrace"] == errno.EPERM
    assert outcome.value["clone3"] == errno.ENOSYS
