"""Many documents at once, each in a process that can be ended: a parser that hangs, swells or crashes takes
one document with it, and no other.

Each worker is a Python of its own that reads jobs from a pipe and answers in order. A thread here looks after
each one: where no answer comes in time, or the pipe breaks, the worker is killed, the document at fault gets
a line in its report, and a fresh worker goes on with the rest. Workers have the rights of the person who runs
them: what they are kept from is time and memory, and no more.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import contextlib
import importlib
import io
import math
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import IO, Any, Generic, TypeVar

from handbook.errors import HandbookError

SECONDS = 60.0  # for a document
MEMORY = 4 << 30  # bytes of address space of a worker
BATCH = 16  # documents that a worker is given at once, so that it never waits
WATCH = 0.1  # seconds between looks at the clock
RECYCLED = 5000  # documents after which a worker is replaced: parsers keep caches
FUNCTION = "handbook.rag.ingest:parse"
_HEAD = struct.Struct("<Q")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of a document. result: None where it failed; fault: why, in a line, '' where it did not.
    seconds: that the worker took for it."""

    source: Any
    result: T | None
    fault: str = ""
    seconds: float = 0.0


def parse_all(
    sources: Iterable[Any],
    workers: int | None = None,
    function: str = FUNCTION,
    seconds: float = SECONDS,
    memory: int = MEMORY,
    stop: Callable[[], bool] = lambda: False,
    tick: Callable[[], object] = lambda: None,
) -> Generator[Outcome[Any], None, None]:
    """The outcome of each source, as they come (not in order).

    Args:
        sources: arguments of the function, one each; read as far as the workers need.
        workers: processes, as many as cores where not given.
        function: `module:name` of what a worker calls; its result has to be picklable.
        seconds: for one document.
        memory: bytes for one worker, where the system can limit it (Linux).
        stop: asked between documents; once it says so, no more are begun.
        tick: called while there is nothing to yield yet, ten times a second; what it raises ends the work.
    """
    todo: queue.Queue[Any] = queue.Queue(maxsize=64)
    done: queue.Queue[Outcome[Any] | None] = queue.Queue(maxsize=256)
    closing = threading.Event()
    count = max(1, workers or os.cpu_count() or 1)
    tasks = [_Keeper(todo, done, closing, function, seconds, memory) for _ in range(count)]
    for task in tasks:
        task.start()
    feeder = threading.Thread(target=_feed, args=(sources, todo, count, closing, stop, done), daemon=True)
    feeder.start()
    threading.Thread(target=_watch, args=(tasks, closing), daemon=True).start()
    try:
        ended = 0
        while ended < count + 1:  # the keepers, and the feeder
            try:
                outcome = done.get(timeout=WATCH)
            except queue.Empty:
                tick()
                continue
            if outcome is None:
                ended += 1
            elif outcome.source is _FAILED:
                assert isinstance(outcome.result, BaseException)
                raise outcome.result
            else:
                yield outcome
    finally:  # also where the caller stops early
        closing.set()
        while any(task.is_alive() for task in tasks) or feeder.is_alive():
            for task in tasks:
                task.kill()
            feeder.join(WATCH / 10)


def _put(where: "queue.Queue[Any]", value: Any, closing: threading.Event) -> bool:
    """Put a value, waiting for room; False where it is all over meanwhile."""
    while not closing.is_set():
        with contextlib.suppress(queue.Full):
            where.put(value, timeout=WATCH)
            return True
    return False


def _watch(tasks: "list[_Keeper]", closing: threading.Event) -> None:
    while not closing.wait(WATCH):
        for task in tasks:
            task.check(time.monotonic())


_END = object()
_FAILED = object()


def _feed(
    sources: Iterable[Any],
    todo: "queue.Queue[Any]",
    count: int,
    closing: threading.Event,
    stop: Callable[[], bool],
    done: "queue.Queue[Outcome[Any] | None]",
) -> None:
    try:
        for source in sources:
            if stop() or not _put(todo, source, closing):
                break
    except BaseException as error:  # of the caller's own iterator: it is the caller's to see
        _put(done, Outcome(_FAILED, error), closing)
    for _ in range(count):
        _put(todo, _END, closing)
    _put(done, None, closing)


class _Keeper(threading.Thread):
    """Looks after one worker."""

    def __init__(
        self,
        todo: "queue.Queue[Any]",
        done: "queue.Queue[Outcome[Any] | None]",
        closing: threading.Event,
        function: str,
        seconds: float,
        memory: int,
    ) -> None:
        super().__init__(daemon=True)
        self._todo, self._done, self._closing = todo, done, closing
        # -P: without it Python imports from the folder that a person is in first, and a document called
        # pickle.py would be run.
        self._call = [sys.executable, "-P", "-c", _START, function, str(memory)]
        self._seconds = seconds
        self._worker: subprocess.Popen[bytes] | None = None
        self._late = False
        self._due = math.inf  # when the answer must be there, by time.monotonic
        self._served = 0

    def run(self) -> None:
        waiting: list[Any] = []
        more = True
        try:
            while (more or waiting) and not self._closing.is_set():
                while more and len(waiting) < BATCH:
                    try:
                        source = self._todo.get(block=not waiting, timeout=WATCH)
                    except queue.Empty:
                        break
                    if source is _END:
                        more = False
                    else:
                        waiting.append(source)
                if waiting:
                    waiting = self._serve(waiting)
        finally:
            self._discard()
            _put(self._done, None, self._closing)

    def kill(self) -> None:
        worker = self._worker
        if worker is not None:
            worker.kill()

    def _serve(self, sources: list[Any]) -> list[Any]:
        """Send the sources and pass on what comes back; gives those that were not begun when the worker
        ended.
        """
        if self._worker is None or self._served >= RECYCLED:
            self._replace()
        worker = self._worker
        assert worker is not None
        assert worker.stdin is not None
        done = 0
        try:
            _send(worker.stdin, sources)
            for source in sources:
                answer = self._answer(worker)
                done += 1
                self._served += 1
                _put(self._done, Outcome(source, *answer), self._closing)
        except (OSError, EOFError, pickle.UnpicklingError, ValueError):
            why = self._why(worker)
            if not self._closing.is_set():
                seconds = self._seconds if self._late else 0.0
                _put(self._done, Outcome(sources[done], None, why, seconds), self._closing)
                done += 1
            self._discard()
        return sources[done:]

    def _answer(self, worker: "subprocess.Popen[bytes]") -> tuple[Any, str, float]:
        self._due = time.monotonic() + self._seconds + (0 if self._served else STARTING)
        try:
            assert worker.stdout is not None
            result, fault, seconds = _receive(worker.stdout)
            return result, str(fault), float(seconds)
        finally:
            self._due = math.inf

    def check(self, now: float) -> None:
        """End the worker where its answer is overdue."""
        if now > self._due:
            self._late = True
            self.kill()

    def _why(self, worker: "subprocess.Popen[bytes]") -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(5)
        if self._late:
            return f"It took more than {self._seconds:.0f} s to read, and was given up."
        return f"The parser crashed on it (exit status {worker.returncode})."

    def _replace(self) -> None:
        self._discard()
        self._late = False
        self._served = 0
        # In a session of its own: Ctrl-C is for who asked for the documents, and no fault of the one at hand.
        self._worker = subprocess.Popen(
            self._call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )

    def _discard(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            worker.wait()


STARTING = 60.0  # seconds more for a worker's first document: Python has to start, and may on a busy machine
_START = "from handbook.rag.workers import work; work()"


def work() -> None:
    """A worker's life: jobs in, answers out, until the pipe ends. What the function prints goes to stderr."""
    function, memory = sys.argv[1], int(sys.argv[2])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    module, _, name = function.partition(":")
    called = getattr(importlib.import_module(module), name)
    _limit(memory)
    while True:
        try:
            sources = _receive(sys.stdin.buffer)
        except EOFError:
            return
        for source in sources:
            started = time.perf_counter()
            result, fault = None, ""
            try:
                result = called(source)
            except HandbookError as error:
                fault = str(error)
            except MemoryError:
                fault = f"It takes more than {memory >> 20:,} MB of memory to read."
            except RecursionError:
                fault = "It is nested too deeply to read."
            except Exception as error:  # a parser may raise anything; one document's fault is no other's
                fault = f"The parser failed on it: {type(error).__name__}: {str(error)[:300]}"
            _send(answers, (result, fault, time.perf_counter() - started))


def _limit(memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(ValueError, OSError):  # macOS knows the limit and does not set it
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _send(pipe: IO[bytes], value: Any) -> None:
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(_HEAD.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """Raises EOFError where the other end is gone."""
    (length,) = _HEAD.unpack(_exactly(pipe, _HEAD.size))
    return pickle.load(io.BytesIO(_exactly(pipe, length)))


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if data is None or len(data) < length:
        raise EOFError
    return data
