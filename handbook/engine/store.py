"""Where the pages lie: one block of memory for the keys and values of all sequences.

Axes: L layers, P pages of Z positions, J key and value heads, D head size.

Book: inference-ops/llm-serving-optimization
"""

import math
import mmap
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from handbook.engine.pages import Copy
from handbook.engine.work import Batch, Move
from handbook.model.config import ModelConfig


def cache_shape(config: ModelConfig) -> tuple[int, int, int]:
    """Heads, width of a key and width of a value that a position leaves behind in each layer."""
    if config.latent is not None:
        return 1, config.latent.rope_dim, config.latent.rank
    return config.kv_heads, config.head_dim, config.head_dim


def page_bytes(config: ModelConfig, size: int, bytes_per_value: int = 4) -> int:
    """Bytes of one page of `size` positions in all layers. Values of one byte have scales beside them."""
    heads, key, value = cache_shape(config)
    scales = 2 * 4 if bytes_per_value == 1 else 0
    return config.layers * size * heads * ((key + value) * bytes_per_value + scales)


def rounded(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [..., D] -> whole numbers within +-127 of the same form, and their scales [...]."""
    wide = x.float()
    largest = wide.abs().amax(dim=-1)
    by = torch.where(largest > 0, torch.full_like(largest, 127.0) / largest, 0.0)  # 127.0 / x rounds twice
    return (wide * by[..., None]).round().to(torch.int8), largest / 127.0


def zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | None) -> Tensor:
    """As `torch.zeros`, which writes them all: on a processor's memory the system gives zeros when they are
    first touched, and pages of a cache that nobody has used yet take no memory."""
    if device is not None and device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    memory = mmap.mmap(-1, max(1, math.prod(shape) * dtype.itemsize))
    return torch.frombuffer(memory, dtype=dtype, count=math.prod(shape)).view(shape)


class PageStore:
    """keys [L, P * Z, J, D] and values of the same form; slot = page * Z + place. swap: pages of a second
    memory.

    dtype int8: a key or value of a head is whole numbers times a scale; scales are fp32 [L, P * Z, J], of
    keys and of values. `blocks` holds all that a page is made of.
    """

    def __init__(
        self,
        config: ModelConfig,
        pages: int,
        size: int,
        swap: int = 0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> None:
        heads, key, value = cache_shape(config)
        self.size = size

        def blocks(pages: int, device: torch.device | None) -> tuple[Tensor, ...]:
            slots = config.layers, pages * size, heads
            found = [zeros((*slots, width), dtype, device) for width in (key, value)]
            if dtype == torch.int8:
                found += [zeros(slots, torch.float32, device) for _ in range(2)]
            return tuple(found)

        self.blocks = blocks(pages, device)
        self.keys, self.values, *self.scales = self.blocks
        self.away = blocks(swap, None) if swap else None

    @property
    def nbytes(self) -> int:
        return sum(block.nbytes for block in self.blocks)

    def write(self, layer: int, slots: Tensor, k: Tensor, v: Tensor) -> None:
        """k, v [N, J, D] of new positions to slots [N]."""
        for which, rows in enumerate((k, v)):
            block = self.blocks[which][layer]
            if self.scales:
                block[slots], self.scales[which][layer][slots] = rounded(rows)
            else:
                block[slots] = rows.to(block.dtype)

    def read(self, layer: int, slots: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Keys and values of slots [...] -> [..., J, D] each: copies."""
        k, v = (self.blocks[which][layer][slots].to(dtype) for which in (0, 1))
        if self.scales:
            k, v = (
                x * scales[layer][slots][..., None].to(dtype)
                for x, scales in zip((k, v), self.scales, strict=True)
            )
        return k, v

    def slots(self, pages: Sequence[int], start: int, end: int) -> Tensor:
        """Where the positions start to end of a table lie: [end - start]."""
        size = self.size
        first = start // size
        held = torch.tensor(pages[first : -(-end // size)], dtype=torch.long)
        inside = (held[:, None] * size + torch.arange(size)).flatten()
        return inside[start - first * size : end - first * size]

    def read_pages(self, layer: int, pages: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Keys and values of whole pages [W, N] -> [W, N * Z, J, D] each: as `read`, in larger pieces."""

        def found(block: Tensor) -> Tensor:
            rows = block[layer].view(-1, self.size * block[0, 0].numel()).index_select(0, pages.flatten())
            return rows.view(len(pages), -1, *block.shape[2:])

        k, v = (found(block).to(dtype) for block in self.blocks[:2])
        if self.scales:
            k, v = (x * found(s)[..., None].to(dtype) for x, s in zip((k, v), self.scales, strict=True))
        return k, v

    def prepare(self, batch: Batch) -> None:
        """All that a batch wants moved and copied before it is computed, in its order."""
        if self.away is not None:
            self._move(batch.out, self.blocks, self.away)
            self._move(batch.back, self.away, self.blocks)
        for copy in batch.copies:
            self._copy(copy)

    def _copy(self, copy: Copy) -> None:
        size = self.size
        for block in self.blocks:
            source = block[:, copy.source * size : (copy.source + 1) * size]
            block[:, copy.target * size : (copy.target + 1) * size] = source

    def _move(self, moves: Iterable[Move], source: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> None:
        for move in moves:
            end = len(move.source) * self.size
            there, here = self.slots(move.target, 0, end), self.slots(move.source, 0, end)
            for a, b in zip(source, target, strict=True):
                b[:, there.to(b.device)] = a[:, here.to(a.device)].to(b.device)
