"""The decoder: embed, then blocks that each add attention and a network to the residual stream, then logits.

The Llama family's layout (Touvron et al. 2023, arXiv:2302.13971, section 2.2): normalisation before each
part, RMSNorm, SwiGLU, rotary positions.

Axes: B batch, T tokens in this call, S positions seen, C width, V vocabulary.

Book: architectures/transformer-deep-dive
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.model.attention import Attention, causal_mask, soft_cap
from handbook.model.cache import Cache, KVCache
from handbook.model.config import ModelConfig
from handbook.model.layers import RMSNorm, SwiGLU
from handbook.model.rope import rope_frequencies, rope_tables
from handbook.model.variants import WindowCache, window_mask


@dataclass
class Trace:
    """What a forward pass leaves behind for somebody who wants to look inside.

    attention: [B, H, T, S] per layer. hidden: the residual stream [B, T, C], first as embedded, then after
    each block (layers + 1 of them).
    """

    attention: list[Tensor] = field(default_factory=list)
    hidden: list[Tensor] = field(default_factory=list)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): [B, T, C] -> [B, T, C]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = Attention(
            config.dim,
            config.heads,
            config.kv_heads,
            config.head_dim,
            bias=config.qkv_bias,
            out_bias=config.out_bias,
            head_norm_eps=config.norm_eps if config.head_norm else None,
            scale=config.attention_scale,
            softcap=config.attention_softcap,
        )
        self.mlp_norm = RMSNorm(config.dim, config.norm_eps)
        self.mlp = SwiGLU(config.dim, config.hidden_dim, config.mlp_bias)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None,
        rope: tuple[Tensor, Tensor],
        cache: Cache | None,
        layer: int,
        weights: list[Tensor] | None,
    ) -> Tensor:
        x = x + self.attention(self.attention_norm(x), mask, rope, cache, layer, weights)
        return x + self.mlp(self.mlp_norm(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """A decoder of the Llama family."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.head = None if config.tie_embeddings else nn.Linear(config.dim, config.vocab_size, bias=False)

    @property
    def device(self) -> torch.device:
        return self.embed.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.embed.weight.dtype

    def new_cache(self, capacity: int, batch: int = 1) -> KVCache:
        """An empty cache of this model's shape, dtype and device, for `capacity` positions."""
        c = self.config
        return KVCache(c.layers, c.kv_heads, c.head_dim, capacity, batch, self.dtype, self.device)

    def new_window_cache(self) -> WindowCache:
        """An empty cache that forgets what has left every query's window; as `new_cache` without windows."""
        c = self.config
        return WindowCache([c.window(layer) for layer in range(c.layers)])

    def forward(
        self,
        tokens: Tensor,
        cache: Cache | None = None,
        trace: Trace | None = None,
        last_only: bool = False,
    ) -> Tensor:
        """tokens [B, T] -> logits [B, T, V]; with last_only those of the last position, [B, 1, V].

        With a cache the tokens continue what it holds, and are added to it. Raises ValueError past the
        context.
        """
        start = 0 if cache is None else cache.length
        T = tokens.shape[1]
        if start + T > self.config.context:
            raise ValueError(f"the model reads {self.config.context} tokens, got {start + T}")
        masks = {window: self.mask(T, start + T, window) for window in {0, *self.config.windows}}
        rope = self.rotation(torch.arange(start, start + T, device=self.device), start + T)
        x = self.embed(tokens)
        for layer, block in enumerate(self.blocks):
            if trace is not None:
                trace.hidden.append(x)
            mask = masks[self.config.window(layer)]
            x = block(x, mask, rope, cache, layer, None if trace is None else trace.attention)
        if trace is not None:
            trace.hidden.append(x)
        return self.logits_of(x[:, -1:] if last_only else x)

    def mask(self, T: int, S: int, window: int) -> Tensor | None:
        """Who may look where among S positions, the last T of them new: bool [T, S]; None is everywhere."""
        if T == 1 and not 0 < window < S:
            return None
        return (window_mask(T, S, window=window) if window else causal_mask(T, S)).to(self.device)

    def rotation(self, positions: Tensor, length: int = 0) -> tuple[Tensor, Tensor]:
        """cos and sin of positions [T] in a text of `length` -> [T, R/2] each, R the channels of a head that
        turn, with the context extension that the config names."""
        c = self.config
        turning = c.rotary_dim or c.head_dim
        frequencies, scale = rope_frequencies(turning, c.rope_theta), 1.0
        if c.rope_scaling is not None:
            frequencies, scale = c.rope_scaling.apply(frequencies, c.rope_theta, length)
        cos, sin = rope_tables(positions, turning, frequencies=frequencies)
        return cos * scale, sin * scale

    def logits_of(self, hidden: Tensor) -> Tensor:
        """Final norm and head: hidden [B, T, C] of any layer -> logits [B, T, V]. On an inner layer's output
        this is the logit lens (nostalgebraist 2020)."""
        weight = self.embed.weight if self.head is None else self.head.weight
        logits = F.linear(self.norm(hidden), weight)
        return logits if self.config.logit_softcap is None else soft_cap(logits, self.config.logit_softcap)
