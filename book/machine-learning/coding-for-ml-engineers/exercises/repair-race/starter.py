"""A cache of expensive results for many threads. Alone it works; five things in it do not hold in company."""

import threading
from collections.abc import Callable, Hashable
from typing import Any


class ResultCache:
    def __init__(self, compute: Callable[[Any], Any], log: Callable[[str], None]) -> None:
        self._compute, self._log = compute, log
        self._lock = threading.Lock()
        self._values: dict[Hashable, Any] = {}
        self._running: dict[Hashable, threading.Event] = {}
        self.counts = {"hits": 0, "computed": 0, "failed": 0}

    def get(self, key: Hashable) -> Any:
        """The value, computed once."""
        if key in self._values:
            self._count("hits")
            return self._values[key]
        if key in self._running:
            self._running[key].wait()
            self._count("hits")
            return self._values[key]
        self._running[key] = threading.Event()
        with self._lock:
            try:
                value = self._compute(key)
            except Exception:
                self._count("failed")
                raise
            self._values[key] = value
        self._running.pop(key).set()
        self._count("computed")
        return value

    def _count(self, name: str) -> None:
        number = self.counts[name] + 1
        self._log(f"{name} {number}")
        self.counts[name] = number
