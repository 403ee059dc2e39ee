"""Fused products over a base of four bits: the matrix is made when it is needed, in a place that is lent.

All blocks have products of the same few shapes, and compute one after the other. So one matrix a shape is
enough for a model, and whoever needs it makes its own weights in it, unless they are there still.

Axes: as in `fused`.
"""

import threading
import weakref
from typing import Any

import torch
from torch import Tensor, nn

from handbook.train.fused import Product
from handbook.train.lora import LoRALinear


class _Lent:
    """A place for a matrix, and whose weights are in it."""

    def __init__(self, rows: int, columns: int, dtype: torch.dtype) -> None:
        self.matrix = torch.zeros(rows, columns, dtype=dtype)
        self.owner: weakref.ref[NF4Product] | None = None


_LENT: dict[tuple[int, int, int, torch.dtype], _Lent] = {}  # by thread, shape and type


class NF4Product(Product):
    """`Product` where some of the layers are quantized. Its `matrix` holds until the next product of the same
    shape asks for its own."""

    def __init__(self, layers: list[nn.Module], dtype: torch.dtype) -> None:
        self.layers, self.dtype = layers, dtype
        self.adapters = [layer if isinstance(layer, LoRALinear) else None for layer in layers]
        self.bases: list[Any] = [layer.base if isinstance(layer, LoRALinear) else layer for layer in layers]
        self.heights = [base.out_features for base in self.bases]
        self.ranks = [0 if adapter is None else len(adapter.factors.a) for adapter in self.adapters]
        self.O, self.I, self.R = sum(self.heights), self.bases[0].in_features, sum(self.ranks)

    @property
    def matrix(self) -> Tensor:  # type: ignore[override]
        shape = self.O + self.R, self.I + self.R
        key = threading.get_ident(), *shape, self.dtype
        lent = _LENT.get(key) or _LENT.setdefault(key, _Lent(*shape, self.dtype))
        if lent.owner is None or lent.owner() is not self:
            lent.owner = weakref.ref(self)
            self._fill(lent.matrix)
            self.refresh()
        return lent.matrix

    def holds(self) -> bool:
        """Always: the matrix is made of what the layers have."""
        return True

    @torch.no_grad()
    def _fill(self, matrix: Tensor) -> None:
        matrix[: self.O, self.I :] = 0  # what is between the blocks of B
        row = 0
        for base, height in zip(self.bases, self.heights, strict=True):
            matrix[row : row + height, : self.I] = base.weight
            row += height
