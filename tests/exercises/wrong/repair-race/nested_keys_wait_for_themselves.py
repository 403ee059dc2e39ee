# Fault: holds a plain lock while it computes, so a nested key waits for its own thread.
# Rejected by: test_computations_may_ask_for_other_keys

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any


class ResultCache:
    def __init__(self, compute: Callable[[Any], Any], log: Callable[[str], None]) -> None:
        self._compute, self._log = compute, log
        self._lock = threading.Lock()  # of the table
        self._counting = threading.Lock()  # of the counts and the log, which is slow
        self._computing = threading.Lock()
        self._futures: dict[Hashable, Future[Any]] = {}
        self.counts = {"hits": 0, "computed": 0, "failed": 0}

    def get(self, key: Hashable) -> Any:
        """The value, computed once. Raises what compute raises, in everybody who waits for it."""
        with self._lock:
            future = self._futures.get(key)
            mine = future is None
            if future is None:
                future = self._futures[key] = Future()
        if not mine:
            value = future.result()
            self._count("hits")
            return value
        try:
            with self._computing:
                value = self._compute(key)
        except BaseException as error:  # whatever it is, nobody may wait for ever
            with self._lock:
                del self._futures[key]
            future.set_exception(error)
            self._count("failed")
            raise
        future.set_result(value)
        self._count("computed")
        return value

    def _count(self, name: str) -> None:
        """Reading, logging and writing are one step, so lines come in the order of their numbers."""
        with self._counting:
            number = self.counts[name] + 1
            self._log(f"{name} {number}")
            self.counts[name] = number
