"""A packed row through the decoder: many documents side by side in one row, none of which sees another.

Padding a batch to its longest document computes on nothing. Here N tokens are N rows of every product, and
only attention has to know where a document begins. Two ways to the same numbers: `hidden_alone` reads each
document by itself and is the oracle, `hidden` reads them all at once and calls attention once a document, or
once for all where they are of one length. Krell et al. 2021 (arXiv:2107.02027), section 3, packs so.

Memory: what backward needs of a block is thirty times its input or more. With checkpointing only each block's
input stays and the block is computed again on the way back (Chen et al. 2016, arXiv:1604.06174, section 3).

Axes: N tokens packed in one row, D documents in it, C width, H query heads, J key and value heads.

Book: model-training/fine-tuning-strategies
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from handbook.model.attention import attend_fused
from handbook.model.cache import Attends
from handbook.model.latent import LatentAttention
from handbook.model.transformer import Around, Transformer
from handbook.model.variants import window_mask

Rope = tuple[Tensor, Tensor]
View = tuple[Tensor | None, Rope]


class Row(Protocol):
    """What is read of a packed row (`handbook.train.packing.Packed`): tokens and positions [N], and where
    documents begin, with N at the end: [D + 1]."""

    @property
    def tokens(self) -> Tensor: ...

    @property
    def positions(self) -> Tensor: ...

    @property
    def bounds(self) -> Sequence[int]: ...


class Fast(Protocol):
    """A faster way through a model's blocks (`handbook.train.fused`)."""

    def fits(self, model: Transformer) -> bool:
        """Whether the model is still as it was when this was made for it."""
        ...

    def hidden(self, model: Transformer, packed: Row, checkpointing: bool | None) -> Tensor:
        """The same states."""
        ...


FAST: "WeakKeyDictionary[nn.Module, Fast]" = WeakKeyDictionary()  # what `precision.prepare` has made


class Documents:
    """Attention within documents: a cache that holds nothing (`handbook.model.cache.Attends`).

    bounds [D + 1]: where documents begin, N at the end. windows: of each layer, 0 where there is none.
    """

    def __init__(self, bounds: Sequence[int], windows: Sequence[int]) -> None:
        self.lengths = [end - start for start, end in pairwise(bounds)]
        self.windows = windows
        self.even = len(set(self.lengths)) == 1

    def attend(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, softcap: float | None
    ) -> Tensor:
        """q [1, H, N, D]; k, v [1, J, N, D] -> [1, H, N, D]; each row sees its document up to itself."""
        window = self.windows[layer]
        if self.even:
            q, k, v = (
                x[0].view(x.shape[1], len(self.lengths), -1, x.shape[3]).transpose(0, 1) for x in (q, k, v)
            )
            y = attend_causal(q, k, v, window, scale, softcap)
            return y.transpose(0, 1).flatten(1, 2)[None]
        pieces = zip(*(torch.split(x, self.lengths, dim=2) for x in (q, k, v)), strict=True)
        return torch.cat([attend_causal(a, b, c, window, scale, softcap) for a, b, c in pieces], dim=2)


def attend_causal(
    q: Tensor, k: Tensor, v: Tensor, window: int, scale: float | None, softcap: float | None
) -> Tensor:
    """q [B, H, T, D]; k, v [B, J, T, D] -> [B, H, T, D]: each row sees those up to itself, with a window the
    last `window` of them. Without a window and a cap it is torch's kernel, which makes no mask."""
    T = q.shape[2]
    if softcap is None and not 0 < window < T:
        shared = k.shape[1] != q.shape[1]
        return torch.nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scale, enable_gqa=shared
        )
    mask = window_mask(T, window=window or T).to(q.device)
    return attend_fused(q, k, v, mask, scale, softcap)


def hidden(model: Transformer, packed: Row, checkpointing: bool | None = None) -> Tensor:
    """The residual stream behind the last norm: a packed row -> [N, C].

    checkpointing: compute blocks again on the way back instead of keeping what they computed; None does so
    where gradients are wanted and blocks are not fused. Raises ValueError where a document is longer than the
    model's context.
    """
    check_lengths(model, packed)
    if (fast := FAST.get(model)) is not None and fast.fits(model):
        return fast.hidden(model, packed, checkpointing)
    if any(isinstance(module, LatentAttention) for module in model.modules()):
        return hidden_alone(model, packed, checkpointing)  # it has no packed form
    c = model.config
    windows = [c.window(layer) for layer in range(c.layers)]
    views: dict[int, View] = {window: (None, rotation(model, packed, window)) for window in set(windows)}
    return through(model, packed.tokens, views, Documents(packed.bounds, windows), checkpointing)


def hidden_alone(model: Transformer, packed: Row, checkpointing: bool | None = None) -> Tensor:
    """`hidden`, a document at a time, each with the decoder's own mask: the plain way."""
    check_lengths(model, packed)
    rows = []
    for start, end in pairwise(packed.bounds):
        T = end - start
        positions = torch.arange(T, device=model.device)
        views: dict[int, View] = {
            window: (model.mask(T, T, window), model.rotation(positions, T, window))
            for window in {0, *model.config.windows}
        }
        rows.append(through(model, packed.tokens[start:end], views, None, checkpointing))
    return torch.cat(rows)


def rotation(model: Transformer, packed: Row, window: int) -> Rope:
    """cos and sin of a packed row's positions, [N, R/2] each. A context extension may look at how long a
    document is, so then each has its own."""
    if model.config.rope_scaling is None:
        return model.rotation(packed.positions, 0, window)
    tables = [
        model.rotation(packed.positions[start:end], end - start, window)
        for start, end in pairwise(packed.bounds)
    ]
    return torch.cat([cos for cos, _ in tables]), torch.cat([sin for _, sin in tables])


def check_lengths(model: Transformer, packed: Row) -> None:
    """Raises ValueError where a document is empty or longer than the model's context."""
    lengths = [end - start for start, end in pairwise(packed.bounds)]
    if not lengths or min(lengths) < 1 or max(lengths) > model.config.context:
        raise ValueError(
            f"documents have 1 to {model.config.context} tokens, got {min(lengths, default=0)} to "
            f"{max(lengths, default=0)}"
        )


def through(
    model: Transformer,
    tokens: Tensor,
    views: dict[int, View],
    documents: Attends | None,
    checkpointing: bool | None,
) -> Tensor:
    """tokens [N] -> [N, C] through embedding, blocks and the last norm."""
    again = torch.is_grad_enabled() if checkpointing is None else checkpointing
    x = model.embed(tokens)[None]
    if model.config.scale_embedding:
        x = x * torch.tensor(model.config.dim**0.5, dtype=x.dtype, device=x.device)
    for layer, block in enumerate(model.blocks):
        mask, rope = views[model.config.window(layer)]
        around: Around = (mask, rope, documents, layer, None)  # type: ignore[assignment]
        x = checkpoint(block, x, *around, use_reentrant=False) if again else block(x, *around)
    return model.norm(x)[0]  # type: ignore[no-any-return]
