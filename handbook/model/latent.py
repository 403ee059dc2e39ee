"""Multi-head latent attention: the cache keeps one small vector a token, and all heads unfold it.

DeepSeek-V2 (arXiv:2405.04434), section 2.1. Keys and values of all heads come from a latent of `rank`
channels by one matrix each. A rotation between the two would keep them from being multiplied together, so
position goes through a few channels of their own, one rotary key for all heads.

Two ways to the same numbers. Prefill unfolds keys and values and attends as always. A decode step never
unfolds them: the matrix of the keys is moved over to the query, that of the values behind the weighted mean
("absorbed"), and attention runs on the latents themselves. Tests hold the two equal.

Axes: B batch, H heads, T queries, S keys, C width, L rank of the latent, N channels of a head that don't
turn, R that do, V channels of a value.

Book: architectures/transformer-deep-dive
"""

import torch
from torch import Tensor, nn

from handbook.model.attention import attend_fused, attention_weights, merge_heads, split_heads
from handbook.model.cache import Cache
from handbook.model.layers import RMSNorm
from handbook.model.rope import apply_rope, apply_rope_interleaved

LATENT_EPS = 1e-6  # of the norms on latents; configurations don't give it


class LatentAttention(nn.Module):
    """Args: dim C, heads H, plain_dim N, rope_dim R, value_dim V, rank L. query_rank: width of the latent
    that queries come from, 0 for the residual stream. scale: 1 / sqrt(N + R) when not given. interleaved:
    pairs that turn are neighbours, as in DeepSeek's own checkpoints, else halves."""

    def __init__(
        self,
        dim: int,
        heads: int,
        plain_dim: int,
        rope_dim: int,
        value_dim: int,
        rank: int,
        query_rank: int = 0,
        scale: float | None = None,
        interleaved: bool = True,
    ) -> None:
        super().__init__()
        self.heads, self.plain_dim, self.rope_dim, self.rank = heads, plain_dim, rope_dim, rank
        head_dim = plain_dim + rope_dim
        self.scale = head_dim**-0.5 if scale is None else scale
        self.query_rank, self.turn = query_rank, apply_rope_interleaved if interleaved else apply_rope
        if query_rank:
            self.query_down = nn.Linear(dim, query_rank, bias=False)
            self.query_norm = RMSNorm(query_rank, LATENT_EPS)
            self.query_up = nn.Linear(query_rank, heads * head_dim, bias=False)
        else:
            self.query = nn.Linear(dim, heads * head_dim, bias=False)
        self.down = nn.Linear(dim, rank + rope_dim, bias=False)  # the latent, and the rotary key
        self.norm = RMSNorm(rank, LATENT_EPS)
        self.up = nn.Linear(rank, heads * (plain_dim + value_dim), bias=False)  # per head: a key, a value
        self.out = nn.Linear(heads * value_dim, dim, bias=False)

    def project(self, x: Tensor, rope: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x [B, T, C] -> plain queries [B, H, T, N], turned ones [B, H, T, R], latents [B, 1, T, L], rotary
        keys [B, 1, T, R]. Equations 37 to 43 of the paper's appendix C."""
        if self.query_rank:
            q = split_heads(self.query_up(self.query_norm(self.query_down(x))), self.heads)
        else:
            q = split_heads(self.query(x), self.heads)
        latent, key = self.down(x)[:, None].tensor_split((self.rank,), dim=-1)
        plain, turning = q.tensor_split((self.plain_dim,), dim=-1)
        return plain, self.turn(turning, *rope), self.norm(latent), self.turn(key, *rope)

    def unfold(self, latent: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """latents [B, 1, S, L] and rotary keys [B, 1, S, R] -> keys [B, H, S, N + R], values [B, H, S, V]."""
        unfolded = split_heads(self.up(latent[:, 0]), self.heads)  # [B, H, S, N + V]
        plain, values = unfolded.tensor_split((self.plain_dim,), dim=-1)
        return torch.cat((plain, key.expand(-1, self.heads, -1, -1)), dim=-1), values

    def absorb(self, plain: Tensor, turned: Tensor) -> Tensor:
        """Queries that ask the latents themselves: [B, H, T, N], [B, H, T, R] -> [B, H, T, L + R]."""
        keys = self.up.weight.view(self.heads, -1, self.rank)[:, : self.plain_dim]  # [H, N, L]
        return torch.cat((plain @ keys, turned), dim=-1)

    def attend_unfolded(self, q: Tensor, latent: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
        """q [B, H, T, N + R] -> [B, H, T, V], by way of keys and values for each head."""
        k, v = self.unfold(latent, key)
        return attend_fused(q, k, v, mask, self.scale)

    def attend_absorbed(self, q: Tensor, latent: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
        """q [B, H, T, L + R] from `absorb` -> [B, H, T, V]: multi-query attention over the cache as it is.

        Heads become queries of one head, so that one product reads the latents once instead of H times.
        """
        B, H, T, _ = q.shape
        if mask is not None:
            mask = mask.expand(B, H, T, -1).reshape(B, 1, H * T, -1)
        keys = torch.cat((latent, key), dim=-1)
        weights = attention_weights(q.reshape(B, 1, H * T, -1), keys, mask, self.scale)
        values = self.up.weight.view(self.heads, -1, self.rank)[:, self.plain_dim :]  # [H, V, L]
        return (weights @ latent).view(B, H, T, -1) @ values.transpose(-2, -1)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        rope: tuple[Tensor, Tensor] | None = None,
        cache: Cache | None = None,
        layer: int = 0,
        weights: list[Tensor] | None = None,
        absorbed: bool | None = None,
    ) -> Tensor:
        """As `Attention.forward`; rope is needed. absorbed: one token at a time unless said otherwise."""
        if rope is None:
            raise ValueError("latent attention has channels for positions: it needs rope, got None")
        plain, turned, latent, key = self.project(x, rope)
        if cache is not None:
            key, latent = cache.append(layer, key, latent)
        if mask is not None:
            mask = mask[..., -key.shape[2] :]
        if weights is not None:
            k, _ = self.unfold(latent, key)
            weights.append(attention_weights(torch.cat((plain, turned), dim=-1), k, mask, self.scale))
        if (x.shape[1] == 1) if absorbed is None else absorbed:
            y = self.attend_absorbed(self.absorb(plain, turned), latent, key, mask)
        else:
            y = self.attend_unfolded(torch.cat((plain, turned), dim=-1), latent, key, mask)
        return self.out(merge_heads(y))  # type: ignore[no-any-return]
