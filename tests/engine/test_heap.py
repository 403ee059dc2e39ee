"""Memory that was freed goes back to the system when nobody has anything to do."""

import platform
import subprocess
import sys
from time import monotonic, sleep

import psutil
import pytest

from handbook.engine import served
from handbook.engine.engine import Engine
from handbook.engine.heap import give_back
from handbook.engine.served import Served
from handbook.model.load import Loaded

PIECES = 20_000  # of 4 KiB: below what the C library takes from the system by itself

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to")


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def holes() -> list[bytes]:
    """80 MB freed between pieces that stay."""
    pieces = [bytes(4096) for _ in range(PIECES)]
    return pieces[::64]


@glibc
def test_what_is_free_goes_back() -> None:
    kept = holes()
    before = resident()
    give_back()
    assert before - resident() > PIECES * 4096 * 0.7
    assert len(kept) == PIECES // 64 + 1


@glibc
def test_an_engine_without_work_hands_it_back(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "RESTED", 0.2)
    kept = holes()
    before = resident()
    thread = Served(Engine(loaded))
    try:
        thread.call(lambda engine: None).result()
        end = monotonic() + 30
        while before - resident() < PIECES * 4096 * 0.7:
            assert monotonic() < end, "memory was not handed back"
            sleep(0.05)
        assert thread.call(lambda engine: 7).result() == 7  # and it still listens
    finally:
        assert thread.close(timeout=30)
    assert kept


HEAPS = """
import ctypes, sys, threading
from handbook.engine.heap import share_heaps

if sys.argv[1] == "shared":
    share_heaps(2)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(12)


def allocate():
    together.wait()
    for _ in range(2000):
        libc.malloc(1000)  # the lock is let go here
    together.wait()


threads = [threading.Thread(target=allocate) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.fdopen.restype = ctypes.c_void_p
out = libc.fdopen(1, b"w")
libc.malloc_info(0, ctypes.c_void_p(out))
libc.fflush(ctypes.c_void_p(out))
"""


@glibc
def test_threads_share_two_heaps() -> None:
    def heaps(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", HEAPS, how], capture_output=True, text=True, check=True)
        return done.stdout.count("<heap nr=")

    assert heaps("shared") <= 2 < heaps("apart")
