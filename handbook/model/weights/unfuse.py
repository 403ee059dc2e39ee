"""Files that hold the same weights in other pieces: several projections in one tensor, an expert in each.

What comes out is a file as the decoder would have written it, announced by shapes alone and read on demand.

Axes: E experts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handbook.model.config import ModelConfig

if TYPE_CHECKING:  # families name what is split without torch
    from torch import Tensor

    Read = Callable[[str], Tensor]
_BLOCK = re.compile(r"model\.layers\.(\d{1,9})\.")
_EXPERT = re.compile(r"(.*\.experts)\.(\d+)\.(.*)")


@dataclass(frozen=True)
class Split:
    """A tensor that holds `parts`, one below the other: rows says how many rows each has."""

    whole: str
    parts: tuple[str, ...]
    rows: Callable[[ModelConfig], tuple[int, ...]]


def unfuse(
    shapes: Mapping[str, tuple[int, ...]], tensor: Read, splits: tuple[Split, ...], config: ModelConfig
) -> tuple[dict[str, tuple[int, ...]], Read]:
    """Shapes and reader of a file -> the same with `splits` apart, and `experts.0.x`, `experts.1.x`, ...
    stacked as `experts.x` [E, ...]. What doesn't fit stays as it is, for whoever checks names and shapes."""
    import torch

    found: dict[str, tuple[int, ...]] = {}
    sources: dict[str, Callable[[], Tensor]] = {}
    experts: dict[str, dict[int, str]] = defaultdict(dict)
    for name, shape in shapes.items():
        if match := _EXPERT.fullmatch(name):
            experts[f"{match[1]}.{match[3]}"][int(match[2])] = name
        elif not _split(name, shape, splits, config, tensor, found, sources):
            found[name] = shape
    for stacked, numbered in experts.items():
        names = [numbered[number] for number in sorted(numbered)]
        if sorted(numbered) == list(range(len(names))) and len({shapes[name] for name in names}) == 1:
            found[stacked] = (len(names), *shapes[names[0]])
            sources[stacked] = lambda names=names: torch.stack([tensor(name) for name in names])  # type: ignore[misc]
        else:
            found.update((name, shapes[name]) for name in names)
    return found, lambda name: sources[name]() if name in sources else tensor(name)


def without_blocks(
    shapes: Mapping[str, tuple[int, ...]], start: int, count: int
) -> dict[str, tuple[int, ...]]:
    """`shapes` less those of `count` blocks from number `start` on: what predicts further tokens stands
    behind the last block, as if it were one more."""

    def beyond(name: str) -> bool:
        block = _BLOCK.match(name)
        return block is not None and start <= int(block[1]) < start + count

    return {name: shape for name, shape in shapes.items() if not beyond(name)}


def _split(
    name: str,
    shape: tuple[int, ...],
    splits: tuple[Split, ...],
    config: ModelConfig,
    tensor: Read,
    found: dict[str, tuple[int, ...]],
    sources: dict[str, Callable[[], Tensor]],
) -> bool:
    for split in splits:
        rows = split.rows(config)
        if f".{split.whole}." not in name or sum(rows) != shape[0]:
            continue
        start = 0
        for part, count in zip(split.parts, rows, strict=True):
            ours = name.replace(split.whole, part)
            found[ours] = (count, *shape[1:])
            sources[ours] = lambda a=start, b=start + count: tensor(name)[a:b].clone()  # type: ignore[misc]
            start += count
        return True
    return False
