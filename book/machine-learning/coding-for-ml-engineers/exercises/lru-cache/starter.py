"""A cache with a budget that throws out what was used least recently."""

from collections.abc import Hashable
from typing import Any


class LRUCache:
    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = self.hits = self.misses = 0

    def __len__(self) -> int:
        raise NotImplementedError("number of entries")

    def put(self, key: Hashable, value: Any, size: int) -> list[Hashable]:
        raise NotImplementedError("refuse, replace, make room, store")

    def get(self, key: Hashable) -> Any:
        raise NotImplementedError("find it, and make it the most recent")
