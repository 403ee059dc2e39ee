"""Compaction in the background: a corpus that is written stays fast to read.

Each write adds a file, and rows that the indexes don't have yet, which every search then looks through. A
thread puts that in order where it is worth it, a corpus at a time, while readers go on with what is live.

Book: rag-pipelines/rag-pipeline-deep-dive
"""

import threading

from handbook.errors import HandbookError
from handbook.rag.index import Index


class Upkeep:
    """Compacts when told that something was written. What goes wrong is kept in `faults`: searches only stay
    slower, and the next write tries again."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._waiting: dict[tuple[int, str], Index] = {}  # in order, each corpus and tenant once
        self._change = threading.Condition()
        self._busy = False
        self._ended = False
        self._thread: threading.Thread | None = None

    def written(self, index: Index, tenant: str) -> None:
        """Look at this corpus soon. Returns at once."""
        with self._change:
            if self._ended:
                return
            self._waiting[id(index), tenant] = index
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="upkeep", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def rest(self, timeout: float | None = None) -> bool:
        """Wait until all is in order. False if it is not after `timeout` seconds."""
        with self._change:
            return self._change.wait_for(lambda: not self._waiting and not self._busy, timeout)

    def close(self) -> None:
        """End after the corpus at hand; what waits is left as it is."""
        with self._change:
            self._ended = True
            self._waiting.clear()
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._change:
                self._busy = False
                self._change.notify_all()
                self._change.wait_for(lambda: self._waiting or self._ended)
                if self._ended:
                    return
                key = next(iter(self._waiting))
                index = self._waiting.pop(key)
                self._busy = True
            try:
                if index.crowded(key[1]):
                    index.compact(key[1])
            except (HandbookError, OSError, RuntimeError, ValueError) as error:
                self.faults.append(f"{index.name}: {error}")
