"""Attacks on cells: every one is contained, whatever holds them, and what was tried has a name."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attacks import REFUSED, attack, in_turn

import handbook
from handbook.errors import IsolationError
from handbook.practice.sandbox import Limits, Sandbox, open_sandbox
from handbook.practice.sandbox.detect import found
from handbook.practice.sandbox.plain import Plain

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernel isolation is Linux's")
PACKAGE = Path(handbook.__file__).parent
HIDDEN = PACKAGE.parent / "book/architectures/transformer-deep-dive/exercises/top-p-sampling/hidden.py"
REAL = ["a shell", "a subprocess", "the home folder", "a secret file", "the passwords", "a symlink"]
REAL += ["a symlinked folder", "writing outside", "writing through a symlink", "TCP", "UDP", "listening"]
REAL += ["an abstract socket", "a UNIX socket", "a pair of datagrams", "killing the app"]
REAL += ["the handbook's files", "writing to another folder"]
if os.getuid():  # from root it is kept by the want of its rights alone, which every cell gives up
    REAL.append("the app's environment")
OWN = {"killing everything", "killing its group"}  # goes to its own namespace, in which it is alone
ROOMLESS = {"MemoryError", "OSError", "PermissionError", "RuntimeError"}


def at_one_port() -> tuple[socket.socket, socket.socket]:
    """One for TCP, and one for UDP at the port that the first was given."""
    while True:
        streams = socket.create_server(("127.0.0.1", 0))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.bind(streams.getsockname())
        except OSError:  # somebody else's
            streams.close()
            datagrams.close()
        else:
            return streams, datagrams


class Surroundings:
    """What an attack would like to reach, all of it there: fields for the sources, and what got in."""

    def __init__(self, folder: Path) -> None:
        home = folder / "home"
        home.mkdir()
        (home / "secret").write_text("SECRET")
        self.listeners = [*at_one_port(), socket.socket(socket.AF_UNIX)]
        port = self.listeners[0].getsockname()[1]
        abstract, path = f"\0handbook-{os.getpid()}", str(folder / "listens")
        self.listeners[2].bind(abstract)
        for family, name in ((socket.SOCK_STREAM, path), (socket.SOCK_DGRAM, path + ".datagrams")):
            self.listeners.append(socket.socket(socket.AF_UNIX, family))
            self.listeners[-1].bind(name)
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.listen()
        self.bystander = subprocess.Popen(["sleep", "600"])
        self.fields: dict[str, Any] = {
            "home": str(home),
            "secret": str(home / "secret"),
            "planted": str(folder / "planted"),
            "port": port,
            "abstract": abstract,
            "path": path,
            "app": os.getpid(),
            "bystander": self.bystander.pid,
            "hidden": str(HIDDEN),
            "package": str(PACKAGE.parent),
        }

    def untouched(self) -> None:
        """Nothing was planted, nobody was killed."""
        assert self.bystander.poll() is None
        assert [path.name for path in Path(self.fields["home"]).iterdir()] == ["secret"]
        assert not Path(self.fields["planted"]).exists()

    def close(self) -> None:
        self.bystander.kill()
        self.bystander.wait()
        for listener in self.listeners:
            listener.close()


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    surroundings = Surroundings(tmp_path_factory.mktemp("around"))
    yield surroundings
    surroundings.close()


def opened(kind: str) -> Sandbox:
    """The sandbox of that name, started while the app holds a secret; skips where the system lacks it."""
    has = found()
    if not (has.landlock and has.seccomp):
        pytest.skip(f"no Landlock and seccomp here: {has.why}")
    os.environ["HANDBOOK_CHAT_KEY"] = "sk-SECRET"
    try:
        box = open_sandbox(SimpleNamespace(judge_isolation=kind))
        assert attack(box, "answer = 1").value == 1
    except IsolationError as error:
        pytest.skip(str(error))
    finally:
        del os.environ["HANDBOOK_CHAT_KEY"]
    return box


@pytest.fixture(scope="module")
def worker(around: Surroundings) -> Iterator[Sandbox]:
    box = opened("worker")
    yield box
    box.close()


@pytest.fixture(scope="module", params=["bubblewrap", "process"])
def cold(request: pytest.FixtureRequest, around: Surroundings) -> Iterator[Sandbox]:
    box = opened(request.param)
    yield box
    box.close()


@pytest.fixture(params=["worker", "bubblewrap", "process"])
def box(request: pytest.FixtureRequest, worker: Sandbox) -> Sandbox:
    return worker if request.param == "worker" else opened(request.param)


@pytest.mark.parametrize("name", REFUSED)
def test_contained_and_named(name: str, worker: Sandbox, around: Surroundings) -> None:
    source, kinds = REFUSED[name]
    outcome = attack(worker, source.format(**around.fields))
    around.untouched()
    if name not in OWN:
        assert outcome.value != "through"
    assert not kinds or outcome.kinds & kinds, outcome.cell.incidents


def test_contained_by_cold_cells_too(cold: Sandbox, around: Surroundings) -> None:
    sources = {name: source.format(**around.fields) for name, (source, _) in REFUSED.items()}
    outcome = attack(cold, in_turn(sources))
    around.untouched()
    through = {name for name, answer in outcome.value.items() if answer == "through"}
    assert through <= (OWN if cold.isolation.name == "bubblewrap" else set()), outcome.value
    assert outcome.kinds >= {"files", "network", "processes", "signals", "environment"}


def test_the_attacks_are_some(around: Surroundings) -> None:
    """Without a layer they get through, so that the tests above say something."""
    sources = {name: REFUSED[name][0].format(**around.fields) for name in REAL}
    outcome = attack(Plain(layers=()), in_turn(sources))
    for folder in (Path(around.fields["home"]), Path(around.fields["home"]).parent):
        (folder / "planted").unlink(missing_ok=True)
    assert outcome.value == dict.fromkeys(REAL, "through")


NOTES = """
import os
while True:
    try: os.write(3, b'x' * 1000)
    except BlockingIOError: pass
"""
ENDLESS = {
    "counting": ("import itertools\nsum(itertools.count())", {"time"}),
    "a power": ("x = 3 ** (10 ** 9)", {"time", "memory"}),
    "sleep": ("import time\ntime.sleep(60)", {"time"}),
    "deaf": ("import signal\nsignal.pthread_sigmask(0, range(1, 65))\nwhile True: pass", {"time"}),
    "output": ("while True: print('x' * 1000)", {"output"}),
    "notes": (NOTES, {"protocol"}),
    "a crash": ("import ctypes\nctypes.string_at(0)", {"exit"}),
    "recursion": ("import sys\nsys.setrecursionlimit(10**9)\nf = lambda: f()\nf()", {"memory", "exit"}),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_ended_and_named(name: str, worker: Sandbox) -> None:
    source, kinds = ENDLESS[name]
    wall = 1 if "time" in kinds else 15  # what a busy machine takes to write 16 MiB
    outcome = attack(worker, source, Limits(wall=wall, cpu=wall, memory=128 << 20))
    assert outcome.kinds & kinds, outcome
    assert outcome.seconds < 60
    assert attack(worker, "answer = 1").value == 1


@pytest.mark.parametrize("name", ["deaf", "output", "recursion"])
def test_cold_cells_are_ended_too(name: str, cold: Sandbox) -> None:
    source, kinds = ENDLESS[name]
    wall = 1 if "time" in kinds else 15
    outcome = attack(cold, source, Limits(wall=wall, cpu=wall, memory=128 << 20))
    assert outcome.kinds & (kinds | {"time"}), outcome  # a busy machine's time may be out before its memory
    assert outcome.seconds < 60


@pytest.mark.parametrize(
    "source",
    [
        "answer = len(b'x' * (1 << 30))",
        "kept = []\nwhile True: kept.append(bytearray(10_000_000))",
        "import mmap\nm = mmap.mmap(-1, 1 << 30)\nm.write(bytes(1 << 20) * 300)\nanswer = 'through'",
        "import numpy\nnumpy.ones(1 << 27)\nanswer = 'through'",
        "import torch\ntorch.ones(1 << 28)\nanswer = 'through'",
        "import os\nf = os.memfd_create('x')\nos.ftruncate(f, 1 << 30)\nanswer = 'through'",
        "for i in range(64): open(str(i), 'wb').write(bytes(8 << 20))\nanswer = 'through'",
        "for i in range(10**6): open(str(i), 'wb').write(bytes(1 << 20))\nanswer = 'through'",
        "for i in range(10**6): open(str(i), 'wb').close()\nanswer = 'through'",
        "open('x', 'wb').truncate(1 << 40)\nanswer = 'through'",
    ],
)
def test_no_memory_and_no_disk_beyond_the_limits(source: str, worker: Sandbox) -> None:
    outcome = attack(worker, source, Limits(memory=128 << 20, file_bytes=4 << 20))
    assert outcome.value is None
    assert outcome.error in ROOMLESS or outcome.kinds & {
        "memory",
        "files",
    }


def test_threads_end_with_the_cell(box: Sandbox) -> None:
    source = """
import os, threading
def f():
    while True: pass
for _ in range(3): threading.Thread(target=f).start()
os._exit(0)
"""
    outcome = attack(box, source)
    assert (outcome.cell.status, outcome.kinds) == (0, set())
    with pytest.raises(ProcessLookupError):
        os.kill(outcome.cell.pid, 0)


def test_many_threads_are_refused_and_named(box: Sandbox) -> None:
    source = (
        "import threading, time\nfor _ in range(400): threading.Thread(target=time.sleep, args=(1,)).start()"
    )
    outcome = attack(box, source, Limits(processes=16, wall=30))
    assert outcome.error == "RuntimeError" or outcome.cell.status != 0
    assert "threads" in outcome.kinds


def test_a_cell_holds_no_descriptor_but_its_own(box: Sandbox) -> None:
    source = """
import os
answer = []
for fd in range(4096):
    try: os.fstat(fd)
    except OSError: continue
    answer.append(fd)
"""
    assert len(attack(box, source).value) == 5  # three standard ones, notes, its channel


def test_garbage_on_every_descriptor(box: Sandbox) -> None:
    source = """
import os
for fd in range(256):
    for text in (b'{"kind": "files", "what": 1}', b'\\0' * 999, b'{"base": -5, "layers": []}', b'[' * 9999):
        try: os.write(fd, text + b'\\n')
        except OSError: pass
os.closerange(0, 100)
"""
    outcome = attack(box, source)
    assert outcome.cell.layers[0] == "limits"
    assert attack(box, "answer = 1").value == 1


def test_attacks_at_once_and_the_sandbox_goes_on(worker: Sandbox) -> None:
    limits = Limits(wall=1, memory=64 << 20)
    sources = ["while True: pass", "while True: print(1)", "x = [0]\nwhile 1: x += x"] * 2
    threads = [threading.Thread(target=attack, args=(worker, source, limits)) for source in sources]
    for thread in threads:
        thread.start()
    assert attack(worker, "answer = 1").value == 1
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
