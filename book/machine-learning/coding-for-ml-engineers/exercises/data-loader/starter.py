"""Which examples come when: shuffled, sharded, resumable."""

from collections.abc import Iterator
from typing import Any


class DataLoader:
    def __init__(self, count: int, batch: int, seed: int = 0, rank: int = 0, world: int = 1) -> None:
        self.count, self.batch, self.seed, self.rank, self.world = count, batch, seed, rank, world

    def __len__(self) -> int:
        raise NotImplementedError("batches an epoch")

    def __iter__(self) -> Iterator[list[int]]:
        raise NotImplementedError("the rest of the current epoch")

    def state(self) -> dict[str, Any]:
        raise NotImplementedError("where the loader stands, and which loader")

    def restore(self, state: dict[str, Any]) -> None:
        raise NotImplementedError("check all, then go there")
