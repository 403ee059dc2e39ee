"""The handbook has the same, with names for full pages and eviction, in `handbook.engine.pages`.

Every method decides first and changes after: whoever catches the exception finds all as it was. Free blocks
lie on a stack, so taking one and giving one back cost the same whatever the count.
"""

from collections import Counter


class OutOfBlocks(Exception):
    """More blocks are needed than are free; nothing was changed."""


class Blocks:
    """count blocks of size positions. Raises ValueError for numbers that cannot be."""

    def __init__(self, count: int, size: int) -> None:
        if count < 1 or size < 1:
            raise ValueError(f"Expected at least one block and one position, got {count} of {size}.")
        self.size = size
        self._free = list(range(count - 1, -1, -1))  # the lowest number is taken first
        self._holders = [0] * count

    @property
    def available(self) -> int:
        """Blocks that are in no table."""
        return len(self._free)

    def holders(self, block: int) -> int:
        """Tables that a block is in."""
        return self._holders[block]

    def extend(self, table: list[int], length: int, new: int) -> tuple[int, int] | None:
        """Room for new positions. Returns the copy to make first. Raises OutOfBlocks and ValueError."""
        held, wanted = -(-length // self.size), -(-(length + new) // self.size)
        if new < 0 or len(table) != held:
            raise ValueError(
                f"Expected {held} blocks for {length} positions and new >= 0, got {table}, {new}."
            )
        # a full last block is never written again; one that was begun is, by whoever goes on
        copies = new > 0 and length % self.size != 0 and self._holders[table[-1]] > 1
        if wanted - held + copies > len(self._free):
            raise OutOfBlocks
        copy = None
        if copies:
            source, target = table[-1], self._take()
            self._holders[source] -= 1  # never the last: the block was shared
            table[-1] = target
            copy = source, target
        table.extend(self._take() for _ in range(wanted - held))
        return copy

    def fork(self, table: list[int]) -> list[int]:
        """A second table of the same content. Raises ValueError for blocks that nobody holds."""
        self._check(table)
        for block in table:
            self._holders[block] += 1
        return list(table)

    def free(self, table: list[int]) -> None:
        """Let go of all blocks. Raises ValueError for a double free, and then nothing was changed."""
        self._check(table)
        for block in table:
            self._holders[block] -= 1
            if self._holders[block] == 0:
                self._free.append(block)
        table.clear()

    def _take(self) -> int:
        block = self._free.pop()
        self._holders[block] = 1
        return block

    def _check(self, table: list[int]) -> None:
        for block, times in Counter(table).items():
            held = self._holders[block] if 0 <= block < len(self._holders) else 0  # -1 is no block either
            if times > held:
                raise ValueError(f"Block {block} is {times} times in the table and held {held} times.")
