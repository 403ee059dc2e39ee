"""Attention: every query looks at every key it may see, and takes the mean of their values.

Three ways to the same numbers. `attend` writes out Vaswani et al. 2017 (arXiv:1706.03762), equation 1.
`attend_tiled` goes through the keys block by block and never holds a full row of weights: the online softmax
of Milakov and Gimelshein 2018 (arXiv:1805.02867), algorithm 3, which is the heart of FlashAttention
(Dao et al. 2022, arXiv:2205.14135, algorithm 1). `attend_fused` is torch's own kernel. Tests hold them equal.

Axes: B batch, H query heads, J key and value heads (H is a multiple of J), T queries, S keys, D head size,
C width of the residual stream.
Masks are boolean and True means 'may look'. A query that may look nowhere gets zeros.

Book: architectures/transformer-deep-dive
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handbook.model.cache import Attends, Cache
from handbook.model.layers import RMSNorm
from handbook.model.rope import apply_partial_rope


def causal_mask(T: int, S: int | None = None, offset: int | None = None) -> Tensor:
    """Who may look where, when nobody may look ahead: bool [T, S].

    Query i stands at position offset + i and sees the keys 0 to offset + i. By default the queries are the
    last T of the S positions, as they are when earlier keys come from a cache.
    """
    S = T if S is None else S
    offset = S - T if offset is None else offset
    return torch.arange(S) <= torch.arange(offset, offset + T)[:, None]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, T, heads * D] -> [B, heads, T, D]. A view: nothing is computed, a head is a slice of the width."""
    return x.view(*x.shape[:-1], heads, -1).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[B, H, T, D] -> [B, T, H * D], the inverse of `split_heads`."""
    return x.transpose(1, 2).flatten(-2)


def repeat_heads(x: Tensor, heads: int) -> Tensor:
    """[B, J, S, D] -> [B, heads, S, D]: each key or value head serves heads / J query heads in a row.

    Ainslie et al. 2023 (arXiv:2305.13245), section 2.2. J = heads is multi-head attention, J = 1 multi-query.
    """
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], dim=1)


def soft_cap(scores: Tensor, cap: float) -> Tensor:
    """cap * tanh(scores / cap): small scores stay, none passes +-cap. Any shape.

    Gemma 2 (Gemma Team 2024, arXiv:2408.00118, section 2): 50 on attention's scores, 30 on the logits.
    """
    return cap * torch.tanh(scores / cap)


def attention_weights(
    q: Tensor,
    k: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """How much each query takes from each key: q [B, H, T, D], k [B, J, S, D] -> [B, H, T, S], rows sum to 1.

    scale defaults to 1 / sqrt(D) (Vaswani et al. 2017, section 3.2.1). softcap bends scores so that none
    passes +-softcap; bias, broadcastable to [B, H, T, S], is added to them (see `variants`).
    """
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores = q @ repeat_heads(k, q.shape[1]).transpose(-2, -1) * scale
    if softcap is not None:
        scores = soft_cap(scores, softcap)
    if bias is not None:
        scores = scores + bias
    if mask is None:
        return scores.softmax(dim=-1)
    weights = scores.masked_fill(~mask, -math.inf).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)  # only changes rows without any key, which softmax made NaN


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """softmax(q k^T / sqrt(D)) v: q [B, H, T, D]; k, v [B, J, S, D]; mask bool, [T, S] or broadcastable to
    [B, H, T, S] -> [B, H, T, D]. Vaswani et al. 2017, equation 1. Memory grows with T * S."""
    return attention_weights(q, k, mask, scale, softcap, bias) @ repeat_heads(v, q.shape[1])


def attend_fused(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """`attend` through torch's kernel, which holds no [T, S] matrix and reads shared key heads in place. The
    kernel adds a bias but can't bend scores: a softcap takes the plain path."""
    if softcap is not None:
        return attend(q, k, v, mask, scale, softcap, bias)
    if bias is not None:
        mask = bias if mask is None else bias.masked_fill(~mask, -math.inf)
    shared = k.shape[1] != q.shape[1]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, enable_gqa=shared)


def attend_tiled(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    block: int = 128,
) -> Tensor:
    """`attend`, one block of keys at a time: exact, with memory for T * block scores instead of T * S.

    Keeps for each query the largest score so far, the sum of exp(score - largest) and the weighted values; a
    new largest score rescales what stands. FlashAttention (arXiv:2205.14135), algorithm 1, lines 10 to 13;
    the division comes once at the end, as in FlashAttention-2 (arXiv:2307.08691), section 3.1.
    """
    H, S = q.shape[1], k.shape[2]
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    largest = q.new_full((*q.shape[:-1], 1), -math.inf)  # [B, H, T, 1]
    total = torch.zeros_like(largest)
    weighted = torch.zeros_like(q)
    for start in range(0, S, block):
        keys, values = (repeat_heads(x[:, :, start : start + block], H) for x in (k, v))
        scores = q @ keys.transpose(-2, -1) * scale  # [B, H, T, block]
        if mask is not None:
            scores = scores.masked_fill(~mask[..., start : start + block], -math.inf)
        new = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        pivot = new.masked_fill(new == -math.inf, 0.0)  # nothing seen yet: exp(-inf - 0) is 0, not NaN
        shrink, parts = (largest - pivot).exp(), (scores - pivot).exp()
        total = total * shrink + parts.sum(dim=-1, keepdim=True)
        weighted = weighted * shrink + parts @ values
        largest = new
    return weighted / total.masked_fill(total == 0, 1.0)


class Attention(nn.Module):
    """Multi-head, grouped-query and multi-query attention in one piece: kv_heads = heads, fewer, or 1.

    Args:
        dim: width C of the residual stream.
        heads: query heads H.
        kv_heads: key and value heads J, a divisor of heads; heads when not given.
        head_dim: D; dim / heads when not given.
        bias: biases on query, key and value.
        out_bias: a bias on the output projection; as `bias` when not given.
        head_norm_eps: when given, queries and keys are normalised per head before rotation (Qwen3).
        width_norm_eps: when given, they are normalised over all heads together (OLMoE).
        norm: what normalises them, made of a width and eps.
        clip: when given, queries, keys and values are kept within +-clip (OLMo; MPT, whose clip_qkv it is).
        scale, softcap: see `attention_weights`.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        bias: bool = False,
        out_bias: bool | None = None,
        head_norm_eps: float | None = None,
        width_norm_eps: float | None = None,
        scale: float | None = None,
        softcap: float | None = None,
        norm: Callable[[int, float], nn.Module] = RMSNorm,
        clip: float | None = None,
    ) -> None:
        super().__init__()
        kv_heads = heads if kv_heads is None else kv_heads
        head_dim = dim // heads if head_dim is None else head_dim
        if heads % kv_heads:
            raise ValueError(f"heads must be a multiple of kv_heads, got {heads} and {kv_heads}")
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.scale, self.softcap, self.clip = scale, softcap, clip
        self.query = nn.Linear(dim, heads * head_dim, bias=bias)
        self.key = nn.Linear(dim, kv_heads * head_dim, bias=bias)
        self.value = nn.Linear(dim, kv_heads * head_dim, bias=bias)
        self.out = nn.Linear(heads * head_dim, dim, bias=bias if out_bias is None else out_bias)
        if head_norm_eps is not None:
            self.query_norm, self.key_norm = norm(head_dim, head_norm_eps), norm(head_dim, head_norm_eps)
        if width_norm_eps is not None:
            self.query_norm = norm(heads * head_dim, width_norm_eps)
            self.key_norm = norm(kv_heads * head_dim, width_norm_eps)
        self.head_norm, self.width_norm = head_norm_eps is not None, width_norm_eps is not None

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [B, T, C] -> q [B, H, T, D], k and v [B, J, T, D], not rotated yet."""
        q, k, v = self.query(x), self.key(x), self.value(x)
        if self.width_norm:
            q, k = self.query_norm(q), self.key_norm(k)
        if self.clip is not None:
            q, k, v = (x.clamp(-self.clip, self.clip) for x in (q, k, v))
        q, k, v = split_heads(q, self.heads), split_heads(k, self.kv_heads), split_heads(v, self.kv_heads)
        return (self.query_norm(q), self.key_norm(k), v) if self.head_norm else (q, k, v)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        rope: tuple[Tensor, Tensor] | None = None,
        cache: Cache | Attends | None = None,
        layer: int = 0,
        weights: list[Tensor] | None = None,
    ) -> Tensor:
        """x [B, T, C] -> [B, T, C].

        Args:
            mask: bool, [T, S] or broadcastable to [B, H, T, S]; None lets everybody look everywhere.
            rope: cos and sin of the T positions, from `rope_tables`.
            cache: where the keys and values of earlier positions are, and where these go, under `layer`.
            weights: a list that gets this call's attention weights [B, H, T, S]; takes the plain path.
        """
        q, k, v = self.project(x)
        if rope is not None:
            q, k = apply_partial_rope(q, *rope), apply_partial_rope(k, *rope)
        if isinstance(cache, Attends):
            y = cache.attend(layer, q, k, v, self.scale, self.softcap)
            return self.out(merge_heads(y))  # type: ignore[no-any-return]
        if cache is not None:
            k, v = cache.append(layer, k, v)
        if mask is not None:
            mask = mask[..., -k.shape[2] :]  # a cache may have forgotten what no query sees any more
        if weights is None:
            y = attend_fused(q, k, v, mask, self.scale, self.softcap)
        else:
            weights.append(attention_weights(q, k, mask, self.scale, self.softcap))
            y = weights[-1] @ repeat_heads(v, self.heads)
        return self.out(merge_heads(y))  # type: ignore[no-any-return]
