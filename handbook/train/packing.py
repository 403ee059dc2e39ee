"""Packing: documents of many lengths laid end to end in one row, so that no token is padding.

A row alone is not enough: a document must not see the one before it. `bounds` say where each begins,
positions begin anew there, and the last token of each has no target (Krell et al. 2021, arXiv:2107.02027).
`padded` and `document_mask` are the plain forms that packing must agree with.

Axes: N tokens of a row, D documents in it, T tokens of the longest.

Book: model-training/fine-tuning-strategies
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, replace
from random import Random
from typing import Generic, TypeVar

import torch
from torch import Tensor

from handbook.train.examples import Example

T = TypeVar("T", bound=Sized)
M = TypeVar("M")
IGNORE = -100
"""The target of a token that counts for nothing (as `torch.nn.functional.cross_entropy` has it)."""


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Documents in one row.

    tokens [N] int64. targets [N] int64: the next token of the same document where it counts, else IGNORE.
    positions [N] int64: from 0 in each document. bounds: D + 1 numbers, document d is
    bounds[d] : bounds[d + 1]. weight: how many targets count.
    """

    tokens: Tensor
    targets: Tensor
    positions: Tensor
    bounds: tuple[int, ...]
    weight: float

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each document."""
        return tuple(end - start for start, end in zip(self.bounds, self.bounds[1:], strict=False))

    def to(self, device: torch.device | str) -> "Packed":
        """The same on another device."""
        tokens, targets, positions = (each.to(device) for each in (self.tokens, self.targets, self.positions))
        return replace(self, tokens=tokens, targets=targets, positions=positions)


def pack(examples: Sequence[Example]) -> Packed:
    """Lay examples end to end, in the order given. Raises ValueError for none."""
    if not examples:
        raise ValueError("packing needs at least one example")
    tokens: list[int] = []
    targets: list[int] = []
    positions: list[int] = []
    bounds = [0]
    for example in examples:
        tokens += example.tokens
        targets += _targets(example)
        positions += range(len(example))
        bounds.append(len(tokens))
    weight = float(sum(example.weight for example in examples))
    return Packed(torch.tensor(tokens), torch.tensor(targets), torch.tensor(positions), tuple(bounds), weight)


def padded(examples: Sequence[Example], pad: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """The plain form: a row a document, filled up on the right -> tokens, targets [D, T] int64, mask [D, T]
    bool, True where there is a token. pad: any id will do, since nothing that counts sees it."""
    longest = max(map(len, examples))
    tokens = torch.full((len(examples), longest), pad)
    targets = torch.full((len(examples), longest), IGNORE)
    mask = torch.zeros(len(examples), longest, dtype=torch.bool)
    for row, example in enumerate(examples):
        tokens[row, : len(example)] = torch.tensor(example.tokens)
        targets[row, : len(example)] = torch.tensor(_targets(example))
        mask[row, : len(example)] = True
    return tokens, targets, mask


def document_mask(bounds: Sequence[int]) -> Tensor:
    """bool [N, N]: True where token i (row) may see token j (column): of the same document, not after i."""
    rows = torch.arange(bounds[-1])
    document = torch.bucketize(rows, torch.tensor(bounds[1:]), right=True)
    return (document[:, None] == document[None, :]) & (rows[:, None] >= rows[None, :])


def bins(lengths: Sequence[int], budget: int, seed: int, epoch: int, window: int = 1024) -> list[list[int]]:
    """Which examples share a row: lists of indices, each of at most `budget` tokens, in order of training.

    A shuffle by seed and epoch, then first-fit-decreasing within windows of that shuffle, so that an epoch
    stays in random order; then the rows of each window are shuffled, because the long ones come first. Every
    example is in exactly one. Raises ValueError where one is longer than the budget, or empty.
    """
    if wrong := [index for index, length in enumerate(lengths) if not 0 < length <= budget]:
        named = ", ".join(f"{index} ({lengths[index]})" for index in wrong[:5])
        raise ValueError(
            f"examples take 1 to {budget} tokens of a row, {len(wrong)} don't, by index (length): {named}"
        )
    random = Random(f"{seed} {epoch}")
    order = list(range(len(lengths)))
    random.shuffle(order)
    rows: list[list[int]] = []
    for start in range(0, len(order), window):
        fitted = _first_fit(sorted(order[start : start + window], key=lambda i: -lengths[i]), lengths, budget)
        random.shuffle(fitted)
        rows += fitted
    return rows


class Rows(Generic[T, M]):
    """Packed rows without end, cut into steps: `rows(n)` are the micro-batches of step n (from 0), a pure
    function of n, so that a resumed run needs to keep nothing.

    Args:
        items: what is trained on: examples, or pairs of them.
        packing: makes a row of some items, as `pack` does.
        budget: tokens of a row; an item has len(item) of them.
        micros: rows in a step. A step may hold the last rows of an epoch and the first of the next.
        seed: of the order.

    Raises ValueError as `bins`, and for no items.
    """

    def __init__(
        self,
        items: Sequence[T],
        packing: Callable[[Sequence[T]], M],
        budget: int,
        micros: int = 1,
        seed: int = 0,
    ) -> None:
        if not items:
            raise ValueError("there is nothing to train on")
        self.items, self.packing, self.budget, self.micros, self.seed = items, packing, budget, micros, seed
        self._kept: tuple[int, list[list[int]]] | None = None
        self._lengths = [len(item) for item in items]
        self._ends = [len(self._epoch(0))]  # rows up to the end of epoch 0, 1, ...

    @property
    def steps_per_epoch(self) -> int:
        """Steps that the first epoch takes, its last one maybe in part."""
        return -(-self._ends[0] // self.micros)

    def __call__(self, step: int) -> tuple[M, ...]:
        rows = range(step * self.micros, (step + 1) * self.micros)
        return tuple(self.packing([self.items[index] for index in self.indices(row)]) for row in rows)

    def indices(self, row: int) -> list[int]:
        """Which items are in row 0, 1, ... of all epochs."""
        while row >= self._ends[-1]:
            self._ends.append(self._ends[-1] + len(self._epoch(len(self._ends))))
        epoch = bisect_right(self._ends, row)
        return self._epoch(epoch)[row - (self._ends[epoch - 1] if epoch else 0)]

    def _epoch(self, epoch: int) -> list[list[int]]:
        """Rows of an epoch. The last one asked for is kept: steps come in order."""
        if self._kept is None or self._kept[0] != epoch:
            self._kept = (epoch, bins(self._lengths, self.budget, self.seed, epoch))
        return self._kept[1]


def _targets(example: Example) -> list[int]:
    """The next token where it counts, else IGNORE; the last token has none."""
    following = zip(example.tokens[1:], example.counted[1:], strict=True)
    return [token if counts else IGNORE for token, counts in following] + [IGNORE]


def _first_fit(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Each into the first row that has room, else into a new one."""
    rows: list[list[int]] = []
    room: list[int] = []
    for index in order:
        length = lengths[index]
        row = next((row for row, free in enumerate(room) if free >= length), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(budget)
        rows[row].append(index)
        room[row] -= length
    return rows
