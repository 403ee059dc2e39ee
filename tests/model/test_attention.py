"""Three ways to the same attention, one of them by hand."""

import math

import pytest
import torch
from torch import nn

from handbook.model.attention import (
    Attention,
    attend,
    attend_fused,
    attend_tiled,
    attention_weights,
    causal_mask,
    repeat_heads,
)
from handbook.model.cache import KVCache
from handbook.model.rope import rope_tables

MASKS = {
    "none": lambda T, S: None,
    "causal": causal_mask,
    "padding": lambda T, S: (
        torch.arange(S)[None, None, None] < torch.tensor([S, S // 2])[:, None, None, None]
    ),
    "per head": lambda T, S: torch.rand(2, 6, T, S) > 0.4,
    "nothing to see": lambda T, S: torch.zeros(T, S, dtype=torch.bool),
    "first row blind": lambda T, S: torch.arange(T)[:, None].expand(T, S) > 0,
}


def test_worked_example():
    """Two keys, head size 4: scores 2 and 0 over sqrt(4), so weights e : 1."""
    q = torch.tensor([[[[1.0, 1.0, 0.0, 0.0]]]])
    k = torch.tensor([[[[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]]])
    v = torch.tensor([[[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]]])
    share = math.e / (math.e + 1)
    torch.testing.assert_close(attention_weights(q, k), torch.tensor([[[[share, 1 - share]]]]))
    torch.testing.assert_close(attend(q, k, v), torch.tensor([[[[share, 1 - share, 0.0, 0.0]]]]))


def test_causal_mask():
    assert causal_mask(2, 4).tolist() == [[True, True, True, False], [True, True, True, True]]
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert causal_mask(1, 3, offset=0).tolist() == [[True, False, False]]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kv_heads", [6, 3, 1])
@pytest.mark.parametrize(("T", "S"), [(1, 1), (1, 300), (37, 300), (300, 300)])
def test_the_three_agree(mask, kv_heads, T, S):
    torch.manual_seed(T + S + kv_heads)
    q, k, v = torch.randn(2, 6, T, 16), torch.randn(2, kv_heads, S, 16), torch.randn(2, kv_heads, S, 16)
    looks = MASKS[mask](T, S)
    expected = attend(q, k, v, looks, scale=0.3)
    assert expected.isfinite().all()
    torch.testing.assert_close(attend_fused(q, k, v, looks, scale=0.3), expected, rtol=1e-5, atol=2e-6)
    for block in (1, 64, 128, 1000):
        torch.testing.assert_close(attend_tiled(q, k, v, looks, 0.3, block), expected, rtol=1e-5, atol=2e-6)


def test_tiled_stays_finite_where_a_plain_exponential_overflows():
    q, k, v = (torch.randn(1, 1, 4, 8) for _ in range(3))
    torch.testing.assert_close(attend_tiled(100 * q, 100 * k, v, block=2), attend(100 * q, 100 * k, v))


@pytest.mark.parametrize("mask", ["none", "causal", "padding", "per head"])
def test_weights_are_shares_of_what_may_be_seen(mask):
    torch.manual_seed(0)
    looks = MASKS[mask](20, 20)
    weights = attention_weights(torch.randn(2, 6, 20, 8), torch.randn(2, 2, 20, 8), looks)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 6, 20))
    if looks is not None:
        assert weights[~looks.expand_as(weights)].abs().max() == 0


def test_shared_heads_are_repeated_in_a_row():
    x = torch.arange(2.0)[None, :, None, None]  # heads 0 and 1
    assert repeat_heads(x, 6).flatten().tolist() == [0, 0, 0, 1, 1, 1]


def test_module_is_torchs_multi_head_attention():
    """Biases, padding mask: what the encoder uses."""
    torch.manual_seed(0)
    ours, theirs = Attention(24, 4, bias=True), nn.MultiheadAttention(24, 4, batch_first=True)
    with torch.no_grad():
        parts = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    x = torch.randn(2, 10, 24)
    real = torch.arange(10)[None] < torch.tensor([10, 6])[:, None]
    expected, weights = theirs(x, x, x, key_padding_mask=~real, average_attn_weights=False)
    seen: list[torch.Tensor] = []
    for got in (ours(x, real[:, None, None]), ours(x, real[:, None, None], weights=seen)):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(seen[0], weights)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_a_cache_changes_nothing(kv_heads):
    torch.manual_seed(0)
    layer = Attention(32, 4, kv_heads, head_dim=6)
    x, rope = torch.randn(1, 9, 32), rope_tables(torch.arange(9), 6)
    whole = layer(x, causal_mask(9), rope)
    cache = KVCache(1, kv_heads, 6, capacity=9)
    with torch.no_grad():
        steps = [layer(x[:, t : t + 1], None, tuple(r[t : t + 1] for r in rope), cache) for t in range(9)]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=1e-5, atol=1e-6)


def test_heads_must_divide():
    with pytest.raises(ValueError, match="multiple of kv_heads, got 6 and 4"):
        Attention(24, 6, kv_heads=4)
