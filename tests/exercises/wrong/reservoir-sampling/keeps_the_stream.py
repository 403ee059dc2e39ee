# Fault: keeps everything and samples at the end.
# Rejected by: test_long_stream

import heapq
import math
import random
from collections.abc import Iterable
from typing import Any


class Reservoir:
    def __init__(self, k: int, rng: random.Random) -> None:
        if k < 1:
            raise ValueError(f"Expected k of at least 1, got {k}.")
        self.k, self.rng, self.seen = k, rng, 0
        self._kept: list[tuple[float, int, Any]] = []  # heap of (key, number, item), smallest key on top

    def _offer(self, key: float, number: int, item: Any) -> None:
        self._kept.append((key, number, item))

    def add(self, item: Any, weight: float = 1.0) -> None:
        if not 0.0 <= weight < math.inf:
            raise ValueError(f"Expected a finite weight of at least 0, got {weight}.")
        self.seen += 1
        if weight > 0:
            wait = -math.log(1.0 - self.rng.random())  # exponential; weight / wait may overflow, its log not
            key = math.log(weight) - math.log(wait) if wait > 0 else math.inf
            self._offer(key, self.seen, item)

    def extend(self, items: Iterable[Any]) -> None:
        for item in items:
            self.add(item)

    def merge(self, other: "Reservoir") -> None:
        if other.k < self.k:
            raise ValueError(f"Expected a reservoir of at least {self.k}, got {other.k}.")
        for key, number, item in list(other._kept):
            self._offer(key, self.seen + number, item)
        self.seen += other.seen

    def sample(self) -> list[Any]:
        return [item for _, _, item in sorted(heapq.nlargest(self.k, self._kept), key=lambda kept: kept[1])]
