"""Testing a submission in a process of its own: with limits, a time-out, and a verdict for every test.

This keeps a mistake (an endless loop, a gigabyte of output, a disk filled by accident) from taking the
handbook with it. It is not a sandbox: code that means harm reads files and opens connections as the person
who runs it. Judging hostile code is the code judge's work, which is another piece.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from handbook.book.exercise_files import tests_in
from handbook.book.nouns import Exercise

GIGA = 1 << 30
TIMEOUT = 30.0  # seconds for all tests together; importing torch takes two of them
MEMORY = 16 * GIGA  # address space, not memory: torch maps far more than it uses
FILE = 64 << 20
OUTPUT = 64 << 10
LINE = 64 << 10  # bytes of one message of the child
LONGEST = 2000  # characters of what is kept of it
PROCESSES = 256  # beyond those that the user has already
KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV")
RUNNER = Path(__file__).with_name("runner.py")


@dataclass(frozen=True, slots=True)
class TestResult:
    """Verdict of one test. message: what failed, expected and got; empty where it passed."""

    __test__ = False  # not a test class, whatever its name

    name: str
    passed: bool
    message: str
    seconds: float
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """All verdicts, what the submission printed (cut at 64 KiB), and whether time ran out.

    broken: why no test began, empty where one did; each verdict says it too.
    """

    results: tuple[TestResult, ...]
    output: str
    timed_out: bool
    seconds: float
    broken: str = ""

    @property
    def passed(self) -> bool:
        return bool(self.results) and all(result.passed for result in self.results)


@dataclass
class _Heard:
    """What the child said on its channel. A submission can write there too, so nothing of it is trusted."""

    planned: frozenset[str]
    broken: str = ""
    begun: bool = False
    running: str = ""
    results: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(message, dict):
            return
        if "broken" in message:
            self.broken = _text(message["broken"])
        elif "start" in message:
            self.begun, self.running = True, str(message["start"])
        elif {"name", "passed", "message", "seconds"} <= message.keys():
            name, seconds = str(message["name"]), message["seconds"]
            if name in self.planned and isinstance(seconds, float) and math.isfinite(seconds):
                self.results[name] = message
            self.running = ""


def _text(said: object) -> str:
    """What the child said, as text that a page and a database take: no half characters, no null."""
    text = str(said)[:LONGEST].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode("utf-8")


def _processes() -> dict[str, int]:
    """A limit on processes, which the kernel counts per user; none for root, where it does not hold."""
    import psutil

    if not hasattr(os, "getuid") or os.getuid() == 0:
        return {}
    mine = 0
    for process in psutil.process_iter(["uids", "num_threads"]):
        uids = process.info["uids"]
        if uids and uids.real == os.getuid():
            mine += process.info["num_threads"] or 1
    return {"NPROC": mine + PROCESSES}


def _limits(timeout: float) -> dict[str, int]:
    cores = os.cpu_count() or 1
    cpu = math.ceil(timeout) * cores + 5
    return {"CPU": cpu, "AS": MEMORY, "FSIZE": FILE, "CORE": 0, **_processes()}


def _environment(home: str) -> dict[str, str]:
    """Nothing of the person's environment but what Python needs: no keys, no tokens, no GPU."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    threads = {name: str(os.cpu_count() or 1) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return {**kept, **threads, "HOME": home, "TMPDIR": home, "CUDA_VISIBLE_DEVICES": "", "PYTHONUTF8": "1"}


def _drain(stream: IO[bytes], kept: bytearray) -> None:
    """Read to the end, keep the beginning: a child that prints without end must not block or fill memory."""
    while chunk := stream.read(1 << 16):
        kept.extend(chunk[: max(0, OUTPUT - len(kept))])


def _listen(channel: int, heard: _Heard) -> None:
    with os.fdopen(channel, "rb") as stream:
        while line := stream.readline(LINE):
            heard.take(line)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the child's whole process group, also what it left in the background."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)


@contextlib.contextmanager
def _folder(exercise: Exercise, submission: Path, stems: tuple[str, ...]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="handbook-exercise-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        shutil.copyfile(submission, folder / "submission.py")
        for stem in stems:
            shutil.copyfile(exercise.file(f"{stem}.py"), folder / f"{stem}.py")
        yield folder


def judge(exercise: Exercise, submission: Path, hidden: bool = True, timeout: float = TIMEOUT) -> Report:
    """Run the shown tests, and the hidden ones, against a file. timeout: seconds of wall time for all.

    Raises OSError where the submission cannot be read; everything that the submission does is a verdict.
    """
    stems = ("tests", "hidden") if hidden else ("tests",)
    planned = [(stem, name) for stem in stems for name, _, _ in tests_in(exercise.file(f"{stem}.py"))]
    heard, output = _Heard(frozenset(f"{stem}:{name}" for stem, name in planned)), bytearray()
    begin = time.perf_counter()
    with _folder(exercise, submission, stems) as folder:
        reading, writing = os.pipe()
        command = [sys.executable, "-I", "-B", str(RUNNER), str(folder), str(writing)]
        process = subprocess.Popen(
            [*command, json.dumps(_limits(timeout)), exercise.entry, *stems],
            cwd=folder,
            env=_environment(str(folder)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        assert process.stdout is not None
        readers = [
            threading.Thread(target=_drain, args=(process.stdout, output), daemon=True),
            threading.Thread(target=_listen, args=(reading, heard), daemon=True),
        ]
        for reader in readers:
            reader.start()
        try:
            process.wait(timeout)
            timed_out = False
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            _kill(process)
        for reader in readers:
            reader.join(5)
        if not readers[0].is_alive():  # alive: a grandchild that left the group still holds the pipe
            process.stdout.close()
    ended = _ending(heard, process.returncode, timed_out, timeout)
    results = tuple(_verdict(stem, name, heard, ended) for stem, name in planned)
    said = output.decode("utf-8", "replace")
    broken = "" if heard.begun or heard.results else ended
    return Report(results, said, timed_out, time.perf_counter() - begin, broken)


def _ending(heard: _Heard, code: int | None, timed_out: bool, timeout: float) -> str:
    """Why a test has no verdict of its own."""
    if heard.broken:
        return heard.broken
    if timed_out:
        return f"Time ran out after {timeout:g} s."
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        reason = {"SIGXCPU": "used more processor time than allowed", "SIGXFSZ": "wrote too large a file"}
        return f"The process {reason.get(name, f'was ended by {name}, perhaps for want of memory')}."
    return f"The process ended early (exit status {code})."


def _verdict(stem: str, name: str, heard: _Heard, ended: str) -> TestResult:
    key = f"{stem}:{name}"
    said = heard.results.get(key)
    if said is not None:
        return TestResult(
            name, said["passed"] is True, _text(said["message"]), said["seconds"], stem == "hidden"
        )
    message = f"{ended} This test was running." if key == heard.running else ended
    if not heard.broken and key != heard.running:
        message = f"Not run. {ended}"
    return TestResult(name, False, message, 0.0, stem == "hidden")


def run(
    exercise: Exercise, submission: Path, hidden: bool = True, timeout: float = TIMEOUT
) -> list[TestResult]:
    """The verdicts of `judge`."""
    return list(judge(exercise, submission, hidden, timeout).results)
