"""Blocks of a paged KV cache, with reference counts."""


class OutOfBlocks(Exception):
    """More blocks are needed than are free; nothing was changed."""


class Blocks:
    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size

    @property
    def available(self) -> int:
        raise NotImplementedError("blocks that are in no table")

    def holders(self, block: int) -> int:
        raise NotImplementedError("tables that a block is in")

    def extend(self, table: list[int], length: int, new: int) -> tuple[int, int] | None:
        raise NotImplementedError("make room, copy what is shared and written")

    def fork(self, table: list[int]) -> list[int]:
        raise NotImplementedError("a second table over the same blocks")

    def free(self, table: list[int]) -> None:
        raise NotImplementedError("let go of all blocks")
