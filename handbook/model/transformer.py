"""The decoder: embed, then blocks that each add attention and a network to the residual stream, then logits.

The Llama family's layout (Touvron et al. 2023, arXiv:2302.13971, section 2.2): normalisation before each
part, RMSNorm, SwiGLU, rotary positions. Other families change a part or two, by name in the configuration.

Axes: B batch, T tokens in this call, S positions seen, C width, V vocabulary.

Book: architectures/transformer-deep-dive
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.model.attention import Attention, causal_mask, soft_cap
from handbook.model.cache import Cache, KVCache
from handbook.model.config import ModelConfig
from handbook.model.latent import LatentAttention
from handbook.model.layers import GeGLU, GeluMLP, LayerNorm, OffsetRMSNorm, RMSNorm, SwiGLU
from handbook.model.moe import MoE
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


NORMS: dict[str, Callable[[int, float], nn.Module]] = {
    "rms": RMSNorm,
    "rms+1": OffsetRMSNorm,
    "layer": LayerNorm,
}
NETWORKS: dict[str, Callable[[int, int, bool], nn.Module]] = {
    "swiglu": SwiGLU,
    "geglu": GeGLU,
    "gelu": GeluMLP,
    "gelu-tanh": partial(GeluMLP, approximate="tanh"),
}


def norm_of(config: ModelConfig) -> nn.Module:
    return NORMS[config.norm](config.dim, config.norm_eps)


def attention_of(config: ModelConfig) -> Attention | LatentAttention:
    c = config
    if c.latent is not None:
        sizes = c.dim, c.heads, c.head_dim - c.latent.rope_dim, c.latent.rope_dim, c.latent.value_dim
        return LatentAttention(
            *sizes, c.latent.rank, c.latent.query_rank, c.attention_scale, c.latent.interleaved
        )
    return Attention(
        c.dim,
        c.heads,
        c.kv_heads,
        c.head_dim,
        bias=c.qkv_bias,
        out_bias=c.out_bias,
        head_norm_eps=c.norm_eps if c.head_norm else None,
        width_norm_eps=c.norm_eps if c.width_norm else None,
        scale=c.attention_scale,
        softcap=c.attention_softcap,
        norm=NORMS[c.norm],
        clip=c.qkv_clip,
    )


def network_of(config: ModelConfig, layer: int) -> nn.Module:
    """The network of block `layer`, or the mixture of experts in its place."""
    m = config.mixture_in(layer)
    if m is None:
        return NETWORKS[config.network](config.dim, config.hidden_dim, config.mlp_bias)
    return MoE(
        config.dim,
        m.hidden_dim,
        m.experts,
        m.k,
        shared_hidden_dim=m.shared_hidden_dim,
        shared_gate=m.shared_gate,
        **m.router_switches,
    )


Around = tuple[Tensor | None, tuple[Tensor, Tensor], Cache | None, int, list[Tensor] | None]
"""What attention asks for beside x: mask, rope, cache, layer, weights; see `Attention.forward`."""


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): [B, T, C] -> [B, T, C]."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = norm_of(config)
        self.attention = attention_of(config)
        self.mlp_norm = norm_of(config)
        self.mlp = network_of(config, layer)

    def forward(self, x: Tensor, *around: *Around) -> Tensor:
        x = x + self.attention(self.attention_norm(x), *around)
        return x + self.mlp(self.mlp_norm(x))  # type: ignore[no-any-return]


class SandwichBlock(Block):
    """`Block` with a norm behind each part as well: x + norm(attention(norm(x))), and so the network. Gemma 2
    (arXiv:2408.00118), section 2."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.attention_post_norm = norm_of(config)
        self.mlp_post_norm = norm_of(config)

    def forward(self, x: Tensor, *around: *Around) -> Tensor:
        y = self.attention(self.attention_norm(x), *around)
        x = x + self.attention_post_norm(y)
        return x + self.mlp_post_norm(self.mlp(self.mlp_norm(x)))  # type: ignore[no-any-return]


class ParallelBlock(nn.Module):
    """x + attention(norm(x)) + mlp(norm(x)), one norm for both: GPT-J and Phi. PaLM (Chowdhery et al. 2022,
    arXiv:2204.02311), section 2, says why."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = norm_of(config)
        self.attention = attention_of(config)
        self.mlp = network_of(config, layer)

    def forward(self, x: Tensor, *around: *Around) -> Tensor:
        normed = self.attention_norm(x)
        y = self.attention(normed, *around)
        return x + y + self.mlp(normed)  # type: ignore[no-any-return]


BLOCKS: dict[str, Callable[[ModelConfig, int], nn.Module]] = {
    "pre": Block,
    "sandwich": SandwichBlock,
    "parallel": ParallelBlock,
}


class Transformer(nn.Module):
    """A decoder: Llama's, or what its configuration makes of it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.dim)
        self.blocks = nn.ModuleList(BLOCKS[config.layout](config, layer) for layer in range(config.layers))
        self.norm = norm_of(config)
        tied = config.tie_embeddings
        self.head = None if tied else nn.Linear(config.dim, config.vocab_size, bias=config.head_bias)

    @property
    def device(self) -> torch.device:
        return self.embed.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.embed.weight.dtype

    def new_cache(self, capacity: int, batch: int = 1) -> KVCache:
        """An empty cache of this model's shape, dtype and device, for `capacity` positions."""
        c, kind = self.config, (self.dtype, self.device)
        if c.latent is not None:
            return KVCache(c.layers, 1, c.latent.rope_dim, capacity, batch, *kind, value_dim=c.latent.rank)
        return KVCache(c.layers, c.kv_heads, c.head_dim, capacity, batch, *kind)

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
        positions = torch.arange(start, start + T, device=self.device)
        views = {  # mask and rotation of layers whose window is so wide
            window: (self.mask(T, start + T, window), self.rotation(positions, start + T, window))
            for window in {0, *self.config.windows}
        }
        x = self.embed(tokens)
        if self.config.scale_embedding:
            x = x * torch.tensor(self.config.dim**0.5, dtype=x.dtype, device=x.device)
        for layer, block in enumerate(self.blocks):
            if trace is not None:
                trace.hidden.append(x)
            mask, rope = views[self.config.window(layer)]
            x = block(x, mask, rope, cache, layer, None if trace is None else trace.attention)
        if trace is not None:
            trace.hidden.append(x)
        return self.logits_of(x[:, -1:] if last_only else x)

    def mask(self, T: int, S: int, window: int) -> Tensor | None:
        """Who may look where among S positions, the last T of them new: bool [T, S]; None is everywhere."""
        if T == 1 and not 0 < window < S:
            return None
        return (window_mask(T, S, window=window) if window else causal_mask(T, S)).to(self.device)

    def rotation(self, positions: Tensor, length: int = 0, window: int = 0) -> tuple[Tensor, Tensor]:
        """cos and sin of positions [T] in a text of `length` -> [T, R/2] each, R the channels of a head that
        turn. With the context extension that the config names; where layers with a window have a base of
        their own, that base alone."""
        c = self.config
        turning, local = c.rotary_dim or c.head_dim, c.local_theta if window else None
        frequencies, scale = rope_frequencies(turning, local or c.rope_theta), 1.0
        if c.rope_scaling is not None and local is None:
            frequencies, scale = c.rope_scaling.apply(frequencies, c.rope_theta, length)
        cos, sin = rope_tables(positions, turning, frequencies=frequencies)
        return cos * scale, sin * scale

    def logits_of(self, hidden: Tensor) -> Tensor:
        """Final norm and head: hidden [B, T, C] of any layer -> logits [B, T, V]. On an inner layer's output
        this is the logit lens (nostalgebraist 2020)."""
        weight = self.embed.weight if self.head is None else self.head.weight
        logits = F.linear(self.norm(hidden), weight, None if self.head is None else self.head.bias)
        return logits if self.config.logit_softcap is None else soft_cap(logits, self.config.logit_softcap)
