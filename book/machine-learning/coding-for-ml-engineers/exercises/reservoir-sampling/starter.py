"""A weighted sample without replacement of a stream, in memory for k items."""

import random
from collections.abc import Iterable
from typing import Any


class Reservoir:
    def __init__(self, k: int, rng: random.Random) -> None:
        self.k, self.rng, self.seen = k, rng, 0

    def add(self, item: Any, weight: float = 1.0) -> None:
        raise NotImplementedError("draw a key, keep the k largest")

    def extend(self, items: Iterable[Any]) -> None:
        raise NotImplementedError("add each")

    def merge(self, other: "Reservoir") -> None:
        raise NotImplementedError("keys can be compared")

    def sample(self) -> list[Any]:
        raise NotImplementedError("in the order of arrival")
