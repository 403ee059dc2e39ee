"""The KV cache: keys and values of earlier positions, kept so that a new token costs one position.

One block of memory for all layers, allocated once for the longest sequence wanted; appending copies only the
new positions. (Pages, which many sequences share, come with the engine.)

Axes: B batch, J key and value heads, S positions held, D head size.

Book: architectures/transformer-deep-dive
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


def cache_bytes(
    layers: int, kv_heads: int, head_dim: int, tokens: int, batch: int = 1, bytes_per_value: int = 2
) -> int:
    """Bytes of keys and values: 2 * layers * kv_heads * head_dim * tokens * batch * bytes_per_value."""
    return 2 * layers * kv_heads * head_dim * tokens * batch * bytes_per_value


class Cache(Protocol):
    """What attention asks of a cache: take new keys and values, give back all that are held."""

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]: ...

    @property
    def length(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    def truncate(self, n: int) -> None: ...


@runtime_checkable
class Attends(Protocol):
    """A cache that knows which rows belong together: many sequences packed into one, each with its past."""

    def attend(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, softcap: float | None
    ) -> Tensor:
        """Take in k, v [1, J, N, D] of N packed rows, and let each row q [1, H, N, D] see its own sequence up
        to itself -> [1, H, N, D]."""
        ...


class KVCache:
    """Keys and values [layers, B, J, capacity, D], filled from the left.

    Args:
        capacity: most positions that fit.
        dtype: of the stored values; the model's own.
        value_dim: D of the values, where it is not that of the keys (`latent`).
    """

    def __init__(
        self,
        layers: int,
        kv_heads: int,
        head_dim: int,
        capacity: int,
        batch: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        value_dim: int | None = None,
    ) -> None:
        shape = (layers, batch, kv_heads, capacity)
        value_dim = head_dim if value_dim is None else value_dim
        self.keys = torch.empty(*shape, head_dim, dtype=dtype, device=device)
        self.values = torch.empty(*shape, value_dim, dtype=dtype, device=device)
        self._held = [0] * layers

    @property
    def capacity(self) -> int:
        return self.keys.shape[3]

    @property
    def length(self) -> int:
        """Positions that all layers hold. Layers fill in order: during a forward pass it is the old one."""
        return self._held[-1]

    @property
    def nbytes(self) -> int:
        """Bytes allocated, for the whole capacity."""
        return self.keys.nbytes + self.values.nbytes

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add k, v [B, J, T, D] to a layer and return all it holds, [B, J, S, D] each: views, not copies.

        Raises ValueError when they don't fit.
        """
        start = self._held[layer]
        end = start + k.shape[2]
        if end > self.capacity:
            raise ValueError(f"the cache has room for {self.capacity} positions, {end} are needed")
        self.keys[layer, :, :, start:end] = k
        self.values[layer, :, :, start:end] = v
        self._held[layer] = end
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def truncate(self, n: int) -> None:
        """Forget all positions from n on, in every layer: to take a draft back or keep a shared prefix."""
        if not 0 <= n <= self.length:
            raise ValueError(f"can only truncate to 0 .. {self.length} positions, got {n}")
        self._held = [n] * len(self._held)
