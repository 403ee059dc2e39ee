"""An engine in a thread of its own: others send it work and wait where they are.

Book: inference-ops/llm-serving-optimization
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from handbook.engine.engine import Engine
from handbook.engine.heap import give_back
from handbook.engine.work import QueueFull

T = TypeVar("T")
log = logging.getLogger(__name__)
RESTED = 1.0  # seconds without anything to do, after which memory is handed back


class Closing(QueueFull):
    """The engine is being stopped and takes nothing in."""


class Served:
    """Runs `engine.step` while there is something to do, and sleeps otherwise.

    Everything that touches the engine happens in its thread, between two steps. When a step raises, all
    requests end with the reason "error", and the engine goes on with the next ones.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.closing = self._told_to_stop = self._ended = False
        self._putting = Lock()  # nothing is put in once the thread has looked for the last time
        self._commands: SimpleQueue[tuple[Callable[[Engine], Any], Future[Any]] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def call(self, work: Callable[[Engine], T]) -> "Future[T]":
        """Do something with the engine between two steps; the future has what it returned or raised.

        Raises Closing when the thread has ended.
        """
        future: Future[T] = Future()
        with self._putting:
            if self._ended:
                raise Closing("the engine has been stopped")
            self._commands.put((work, future))
        return future

    def ask(self, *args: Any, **kwargs: Any) -> "Future[Any]":
        """`Engine.ask`, from any thread. The future raises Closing once the engine is being stopped."""

        def work(engine: Engine) -> Any:
            if self.closing:
                raise Closing("the engine is being stopped")
            return engine.ask(*args, **kwargs)

        return self.call(work)

    def cancel(self, id: str) -> "Future[bool]":
        """`Engine.cancel`, from any thread."""
        return self.call(lambda engine: engine.cancel(id))

    def close(self, drain: bool = True, timeout: float | None = None) -> bool:
        """Stop: answer what was taken in (drain), or end it as cancelled. True when the thread has ended."""
        self.closing = True
        if not drain:
            with suppress(Closing):  # it has ended already
                self.call(_cancel_all)
        self._commands.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while self.engine.busy or not self._told_to_stop:
                self._rest()
                while self._take():
                    pass
                if self.engine.busy:
                    self._step()
        finally:
            with self._putting:
                self._ended = True
            while self._take():
                pass

    def _rest(self) -> None:
        """Wait until there is something to do. A second into it, memory that is free is handed back."""
        if not self.engine.busy and not self._take(wait=RESTED):
            give_back()
            self._take(wait=None)

    def _step(self) -> None:
        try:
            self.engine.step()
        except BaseException:  # a panic of the parser is no Exception
            log.exception("a step of the engine failed")
            self.engine.fail()

    def _take(self, wait: float | None = 0.0) -> bool:
        """Do one command; False when there was none for so many seconds (None: for ever)."""
        try:
            command = self._commands.get(wait != 0.0, wait)
        except Empty:
            return False
        if command is None:
            self._told_to_stop = True
            return True
        work, future = command
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work(self.engine))
            except BaseException as error:
                future.set_exception(error)
        return True


def _cancel_all(engine: Engine) -> None:
    for id in engine.asked:
        engine.cancel(id)
