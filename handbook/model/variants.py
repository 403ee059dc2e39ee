"""Attention's variants: who may be seen, what is added to a score, what a cache may forget.

Each is a small function beside `attend`: a mask, a bias, or a way to call it. Windows: Beltagy et al. 2020
(arXiv:2004.05150), Mistral 7B (Jiang et al. 2023, arXiv:2310.06825, section 2). Sinks that are kept: Xiao et
al. 2023, StreamingLLM (arXiv:2309.17453, section 3.2); sinks that are learned: gpt-oss (OpenAI 2025,
arXiv:2508.10925, section 2.2). ALiBi: Press et al. 2021 (arXiv:2108.12409, section 3).

Axes: B batch, H query heads, J key and value heads, T queries, S keys, D head size.

Book: architectures/transformer-deep-dive
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from handbook.model.attention import attend, causal_mask
from handbook.model.count import held_positions as held_positions


def window_mask(T: int, S: int | None = None, offset: int | None = None, *, window: int) -> Tensor:
    """`causal_mask` of which each query sees the last `window` positions, its own included: bool [T, S]."""
    mask = causal_mask(T, S, offset)
    S = mask.shape[1]
    offset = S - T if offset is None else offset
    return mask & (torch.arange(S) > torch.arange(offset, offset + T)[:, None] - window)


def sink_mask(T: int, S: int | None = None, offset: int | None = None, *, window: int, sinks: int) -> Tensor:
    """`window_mask`, and the first `sinks` positions stay in sight: bool [T, S].

    StreamingLLM also counts positions within the cache instead of the text; this doesn't, so it reaches no
    further than the model's context.
    """
    near = window_mask(T, S, offset, window=window)
    return near | (causal_mask(T, S, offset) & (torch.arange(near.shape[1]) < sinks))


def attend_with_sink(
    q: Tensor, k: Tensor, v: Tensor, sink: Tensor, mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """`attend` where each head may spend weight on nothing: sink [H] is one more score in every softmax, with
    a value of zero -> [B, H, T, D]."""
    B, J, _, D = k.shape
    nothing = k.new_zeros(B, J, 1, D)
    scores = q.new_zeros(1, q.shape[1], 1, k.shape[2] + 1)
    scores[..., -1] = sink[:, None]
    if mask is not None:
        mask = torch.nn.functional.pad(mask, (0, 1), value=True)
    return attend(q, torch.cat((k, nothing), 2), torch.cat((v, nothing), 2), mask, scale, bias=scores)


def alibi_slopes(heads: int) -> Tensor:
    """How steeply each head prefers near keys: 2^(-8/H), 2^(-16/H), ... -> [H]. For H that is no power of two
    the slopes of the next smaller one, then every second of twice that (the authors' code)."""
    power = 2 ** math.floor(math.log2(heads))
    first = torch.arange(1, power + 1) * (-8 / power)
    between = (2 * torch.arange(heads - power) + 1) * (-4 / power)
    return 2.0 ** torch.cat((first, between))


def alibi_bias(heads: int, T: int, S: int | None = None, offset: int | None = None) -> Tensor:
    """-slope * distance, for `attend`'s bias, in place of any position embedding: [H, T, S]."""
    S = T if S is None else S
    offset = S - T if offset is None else offset
    distance = torch.arange(offset, offset + T)[:, None] - torch.arange(S)
    return -alibi_slopes(heads)[:, None, None] * distance.clamp(min=0)


class WindowCache:
    """A cache that keeps the last `window` positions of each layer, all of them where it is 0.

    What it gives back are the last positions, in order: the last columns of a mask over all of them.
    `truncate` can't bring back what was forgotten.
    """

    def __init__(self, windows: Sequence[int]) -> None:
        self.windows = tuple(windows)
        self._held: list[tuple[Tensor, Tensor] | None] = [None] * len(windows)
        self._seen = [0] * len(windows)

    @property
    def length(self) -> int:
        """Positions that all layers have seen."""
        return self._seen[-1]

    @property
    def nbytes(self) -> int:
        return sum(k.nbytes + v.nbytes for k, v in filter(None, self._held))

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add k, v [B, J, T, D]; return what was held and these, [B, J, S, D] each."""
        self._seen[layer] += k.shape[2]
        held = self._held[layer]
        if held is not None:
            k, v = torch.cat((held[0], k), dim=2), torch.cat((held[1], v), dim=2)
        keep = self.windows[layer] or k.shape[2]
        self._held[layer] = k[:, :, -keep:].clone(), v[:, :, -keep:].clone()
        return k, v

    def truncate(self, n: int) -> None:
        """Forget all positions from n on. Raises ValueError where a window has moved past what n needs."""
        drop = self.length - n
        if not 0 <= n <= self.length:
            raise ValueError(f"can only truncate to 0 .. {self.length} positions, got {n}")
        for layer, held in enumerate(self._held):
            if held is None or not drop:
                continue
            k, v = held
            if k.shape[2] < self._seen[layer] and n:
                raise ValueError(f"layer {layer} has forgotten positions that a text of {n} would need")
            self._held[layer] = (k[:, :, :n], v[:, :, :n]) if n else None
            self._seen[layer] = n
