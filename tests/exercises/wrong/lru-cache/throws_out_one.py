# Fault: throws out one entry at most.
# Rejected by: test_worked_example

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class LRUCache:
    """Raises ValueError for a budget below 1."""

    def __init__(self, budget: int) -> None:
        if budget < 1:
            raise ValueError(f"Expected a budget of 1 or more, got {budget}.")
        self.budget = budget
        self.used = self.hits = self.misses = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()  # oldest use first

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: Hashable, value: Any, size: int) -> list[Hashable]:
        """Returns the keys thrown out, oldest first. Raises ValueError for a size that can never fit."""
        if not 1 <= size <= self.budget:
            raise ValueError(f"Expected a size from 1 to {self.budget}, got {size}.")
        if key in self._entries:
            self._drop(key)
        gone: list[Hashable] = []
        if self.used + size > self.budget:
            gone.append(next(iter(self._entries)))
            self._drop(gone[-1])
        self._entries[key] = value, size
        self.used += size
        return gone

    def get(self, key: Hashable) -> Any:
        """The value, now the most recently used, or None."""
        if key not in self._entries:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def _drop(self, key: Hashable) -> None:
        self.used -= self._entries.pop(key)[1]
