"""Memory for rows that is used again: the system clears every page that it gives, and a training step would
ask for a gigabyte of them anew.

Axes: N rows.
"""

import torch
from torch import Tensor


class Pool:
    """Rooms that nobody uses, by width and dtype: as many as were ever out at once, with place for the most
    rows ever asked for. Where more are asked for, all are made anew."""

    def __init__(self) -> None:
        self.free: dict[tuple[int, torch.dtype], list[Tensor]] = {}
        self.most = 0

    def take(self, rows: int, width: int, dtype: torch.dtype) -> Tensor:
        """A room [rows, width]; what is in it is left over."""
        if rows > self.most:
            self.free, self.most = {}, rows
        waiting = self.free.get((width, dtype))
        whole = waiting.pop() if waiting else torch.empty(self.most, width, dtype=dtype)
        return whole[:rows]

    def give(self, room: Tensor) -> None:
        """Take a room back, unless it was made when fewer rows were enough."""
        width, itemsize = room.shape[1], room.dtype.itemsize
        if room.untyped_storage().nbytes() == self.most * width * itemsize:
            whole = room.as_strided((self.most, width), (width, 1))
            self.free.setdefault((width, room.dtype), []).append(whole)


class Rooms:
    """The rooms of one computation: `passing` ones go back when it ends, `staying` ones when they `leave`."""

    def __init__(self, pool: Pool, rows: int, dtype: torch.dtype) -> None:
        self.pool, self.rows, self.dtype = pool, rows, dtype
        self.passes: list[Tensor] = []
        self.stay: list[Tensor] = []

    def passing(self, width: int) -> Tensor:
        self.passes.append(self.pool.take(self.rows, width, self.dtype))
        return self.passes[-1]

    def staying(self, width: int, dtype: torch.dtype | None = None) -> Tensor:
        self.stay.append(self.pool.take(self.rows, width, dtype or self.dtype))
        return self.stay[-1]

    def leave(self) -> None:
        for room in self.stay:
            self.pool.give(room)
        self.stay = []

    def __enter__(self) -> "Rooms":
        return self

    def __exit__(self, *_: object) -> None:
        for room in self.passes:
            self.pool.give(room)
        self.passes = []
