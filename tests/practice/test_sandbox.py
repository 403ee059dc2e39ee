"""The seam: what a cell is given, what is measured of it, how it ends; and which sandbox is chosen."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from attacks import TRIAL, attack

from handbook.errors import IsolationError
from handbook.practice.sandbox import Limits, Sandbox, open_sandbox, opened
from handbook.practice.sandbox.detect import Found, found
from handbook.practice.sandbox.opened import describe, isolation_of, needs_consent, require_isolation
from handbook.practice.sandbox.plain import Plain
from handbook.practice.sandbox.worker import Worker

linux = pytest.mark.skipif(sys.platform != "linux", reason="the worker is for Linux")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no judge under Windows")


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    sandbox = open_sandbox()
    yield sandbox
    sandbox.close()


def test_a_cell_gets_its_channels_and_files_and_nothing_else(box: Sandbox) -> None:
    source = """
import os
own = os.getcwd() == os.environ["HOME"] == os.environ["TMPDIR"]
answer = [open("given.txt").read(), os.listdir("."), own]
"""
    outcome = attack(box, source, files={"given.txt": b"data"})
    assert outcome.value == ["data", ["given.txt"], True]
    assert (outcome.cell.status, outcome.cell.ended, outcome.cell.incidents) == (0, "exit status 0", ())


def test_two_channels_in_their_order(box: Sandbox) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    cell = box.start(TRIAL.replace("main", "both"), [there.fileno() for _, there in pairs], Limits())
    for _, there in pairs:
        there.close()
    assert [ours.recv(10) for ours, _ in pairs] == [b"first", b"second"]
    assert cell.wait(60)
    for ours, _ in pairs:
        ours.close()


def test_numpy_torch_threads_and_asyncio_work(box: Sandbox) -> None:
    source = """
import asyncio, threading, queue, tempfile, numpy as np, torch
from concurrent.futures import ThreadPoolExecutor
async def slept(): await asyncio.sleep(0); return await asyncio.to_thread(lambda: 7)
x = torch.ones(3, requires_grad=True); (x @ x).backward()
with ThreadPoolExecutor(4) as pool: squares = list(pool.map(lambda n: n * n, range(5)))
with tempfile.TemporaryFile() as file: file.write(b"x")
model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))
torch.optim.AdamW(model.parameters()).step()
answer = [asyncio.run(slept()), squares, x.grad.tolist(), float(np.linalg.norm(np.eye(2) @ np.ones(2)))]
"""
    outcome = attack(box, source)
    assert outcome.value == [7, [0, 1, 4, 9, 16], [2.0, 2.0, 2.0], pytest.approx(2**0.5)], outcome.error
    assert outcome.cell.incidents == ()


def test_output_is_kept_to_its_limit_and_counted(box: Sandbox) -> None:
    outcome = attack(
        box,
        "import sys\nprint('a' * 100, flush=True)\nprint('b' * 1000, file=sys.stderr)",
        Limits(output_bytes=150),
    )
    assert outcome.cell.output == "a" * 100 + "\n" + "b" * 49
    assert outcome.cell.printed == 1102


def test_processor_time_and_memory_are_measured_from_outside(box: Sandbox) -> None:
    source = """
import time
kept = bytearray(50 << 20)
for place in range(0, len(kept), 4096): kept[place] = 1
del kept
until = time.process_time() + 0.2
while time.process_time() < until: pass
"""
    outcome = attack(box, source)
    assert 0.2 <= outcome.cell.cpu() < 2
    now, peak = outcome.cell.memory()
    assert now == 0
    if sys.platform == "linux":
        assert 50 << 20 <= peak < 80 << 20


def test_randomness_is_not_shared_by_cells(box: Sandbox) -> None:
    source = "import random, numpy, os\nanswer = [random.random(), numpy.random.rand(), os.urandom(8).hex()]"
    first, second = attack(box, source).value, attack(box, source).value
    assert all(a != b for a, b in zip(first, second, strict=True))


def test_killed_from_outside(box: Sandbox) -> None:
    ours, theirs = socket.socketpair()
    cell = box.start(TRIAL, [theirs.fileno()], Limits())
    theirs.close()
    assert cell.ready.wait(60)
    assert not cell.wait(0.05)
    cell.kill("stopped by the person")
    assert cell.wait(60)
    assert cell.ended == "stopped by the person"
    assert cell.incidents == ()
    ours.close()


def test_a_file_name_is_only_a_name(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="without folders"):
        box.start(TRIAL, [], Limits(), {"../x": b""})


@linux
def test_the_worker_starts_again_when_it_was_killed() -> None:
    worker = Worker(found().namespaces, found().layers, torch=False)
    assert attack(worker, "answer = 1").value == 1
    first = worker._process
    assert first is not None
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    deadline = time.monotonic() + 60
    while worker._control is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert attack(worker, "answer = 2").value == 2
    assert worker._process is not first
    worker.close()
    worker.close()


@linux
def test_cells_end_with_the_sandbox() -> None:
    worker = Worker(found().namespaces, found().layers, torch=False)
    ours, theirs = socket.socketpair()
    cell = worker.start(TRIAL, [theirs.fileno()], Limits())
    theirs.close()
    worker.close()
    assert cell.wait(60)
    assert cell.status == -signal.SIGKILL
    ours.close()


@linux
def test_what_cannot_be_confined_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Plain(found().layers)
    made = plain.plan
    monkeypatch.setattr(plain, "plan", lambda *given: {**made(*given), "cwd": "/nowhere"})
    outcome = attack(plain, "print('ran')")
    assert (outcome.cell.status, outcome.cell.layers) == (113, ())
    assert "ran" not in outcome.cell.output
    assert "/nowhere" in outcome.cell.output


@linux
@pytest.mark.parametrize(
    "made",
    [
        "Plain(found().layers)",
        "Worker(found().namespaces, found().layers, torch=False)",
        "Worker(False, found().layers, torch=False)",
        "Bubblewrap(found().layers)",
    ],
)
def test_cells_end_with_an_app_that_is_killed(made: str) -> None:
    if made.startswith("Bubblewrap") and not found().bubblewrap:
        pytest.skip(found().why["bubblewrap"])
    source = f"""
import socket, time
from handbook.practice.sandbox import Limits
from handbook.practice.sandbox.bubble import Bubblewrap
from handbook.practice.sandbox.detect import found
from handbook.practice.sandbox.plain import Plain
from handbook.practice.sandbox.worker import Worker
ours, theirs = socket.socketpair()
cell = {made}.start({TRIAL!r}, [theirs.fileno()], Limits(wall=99))
ours.sendall(b"import time; time.sleep(99)")
ours.shutdown(socket.SHUT_WR)
assert cell.ready.wait(60)
print(cell.pid, flush=True)
time.sleep(99)
"""
    app = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
    assert app.stdout is not None
    pid = int(app.stdout.readline())
    os.kill(pid, 0)
    app.kill()
    app.wait()
    app.stdout.close()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()


@linux
def test_without_namespaces_a_folder_is_weighed() -> None:
    worker = Worker(False, found().layers, torch=False)
    outcome = attack(worker, "for i in range(10**6): open(str(i), 'w').write('x' * 10000)")
    assert [incident.kind for incident in outcome.cell.incidents] == ["files"]
    assert outcome.cell.folder is not None
    assert not outcome.cell.folder.exists()
    worker.close()


@linux
def test_cells_from_many_threads(box: Sandbox) -> None:
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(attack(box, f"answer = {n}").value))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(answers) == list(range(12))


@linux
def test_the_books_own_code_may_import_the_handbook() -> None:
    worker = Worker(found().namespaces, found().layers, torch=False)
    source = "import handbook.book.nouns, os\nanswer = 1\nos.fork()"
    assert attack(worker, source).error in ("ModuleNotFoundError", "PermissionError")
    outcome = attack(worker, source, trusted=True)
    assert outcome.error == "PermissionError"
    assert outcome.cell.output == ""
    worker.close()


@linux
@pytest.mark.skipif(not found().landlock, reason="Landlock keeps what a trusted cell reads to modules")
def test_the_books_own_code_reads_and_writes_no_file_of_the_persons(tmp_path: Path) -> None:
    """It answers calls of a stranger's snippet, whatever those make of its functions."""
    worker = Worker(found().namespaces, found().layers, torch=False)
    (tmp_path / "key").write_text("secret")
    for source in (f"open({str(tmp_path / 'key')!r}).read()", f"open({str(tmp_path / 'new')!r}, 'w')"):
        assert attack(worker, source, trusted=True).error == "PermissionError"
    assert not (tmp_path / "new").exists()
    worker.close()


def test_descriptions_say_what_is_open() -> None:
    full, nothing = Found(7, True, True, True), Found()
    assert needs_consent(describe("process", nothing))
    assert not needs_consent(describe("worker", full))
    assert not needs_consent(describe("process", full))
    assert "the network" in describe("process", nothing).open
    assert "the network" in describe("worker", full).contained
    landlocked = describe("worker", Found(7, True, False, False))
    assert "writing outside a folder of its own" in landlocked.contained
    assert any(what.startswith("filling the disk") for what in landlocked.open)


def test_a_shared_server_wants_isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SimpleNamespace(shared=True, judge_isolation="process")
    with pytest.raises(IsolationError, match="shared"):
        require_isolation(shared)
    assert require_isolation(SimpleNamespace(shared=False, judge_isolation="process")).name == "process"
    monkeypatch.setattr(opened, "found", lambda: Found(7, True, True, True))
    assert require_isolation(SimpleNamespace(shared=True)).name == "worker"
    monkeypatch.setattr(opened, "found", Found)
    assert isolation_of().name == "process"
    with pytest.raises(IsolationError, match=r"Not contained: .*the network"):
        require_isolation(SimpleNamespace(shared=True))


def test_what_cannot_be_had_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        opened, "found", lambda: Found(why={"bubblewrap": "The program bwrap is not installed."})
    )
    with pytest.raises(IsolationError, match="not installed"):
        isolation_of(SimpleNamespace(judge_isolation="bubblewrap"))
    with pytest.raises(IsolationError, match="one of auto"):
        isolation_of(SimpleNamespace(judge_isolation="magic"))
