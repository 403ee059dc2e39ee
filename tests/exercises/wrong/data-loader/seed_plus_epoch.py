# Fault: seeds with seed + epoch, so runs repeat each other's orders.
# Rejected by: test_worked_example

from collections.abc import Iterator
from typing import Any

import numpy as np


class DataLoader:
    """Raises ValueError for settings that cannot be."""

    def __init__(self, count: int, batch: int, seed: int = 0, rank: int = 0, world: int = 1) -> None:
        if min(count, batch, world) < 1 or not 0 <= rank < world:
            raise ValueError(f"Cannot be: count {count}, batch {batch}, rank {rank} of {world}.")
        self._count, self._batch, self._rank, self._world = count, batch, rank, world
        self._settings = {"count": count, "batch": batch, "seed": seed, "world": world}
        self._epoch = self._done = 0  # batches of the epoch that were handed out

    def __len__(self) -> int:
        share = -(-self._count // self._world)
        return -(-share // self._batch)

    def __iter__(self) -> Iterator[list[int]]:
        """The position moves on before each batch: whoever holds a batch has it counted."""
        part = self._part()
        for first in range(self._done * self._batch, len(part), self._batch):
            self._done += 1
            if self._done == len(self):
                self._epoch, self._done = self._epoch + 1, 0
            yield part[first : first + self._batch]

    def state(self) -> dict[str, Any]:
        """Says nothing of the rank: all ranks stand at the same place."""
        return {**self._settings, "epoch": self._epoch, "done": self._done}

    def restore(self, state: dict[str, Any]) -> None:
        """Raises ValueError for another loader's state and for places that cannot be, unchanged."""
        if {**state, "epoch": 0, "done": 0} != {**self._settings, "epoch": 0, "done": 0}:
            raise ValueError(f"Expected a state of {self._settings}, got {state}.")
        epoch, done = state.get("epoch", -1), state.get("done", -1)
        if epoch < 0 or not 0 <= done < len(self):
            raise ValueError(f"Expected an epoch and 0 to {len(self) - 1} batches done, got {epoch}, {done}.")
        self._epoch, self._done = epoch, done

    def _part(self) -> list[int]:
        """This rank's examples of the epoch, in order."""
        order = np.random.default_rng(self._settings["seed"] + self._epoch).permutation(self._count)
        total = -(-self._count // self._world) * self._world
        return np.resize(order, total)[self._rank :: self._world].tolist()
