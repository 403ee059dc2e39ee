"""Windows, sinks, caps and ALiBi."""

from types import SimpleNamespace

import pytest
import torch

from handbook.model.attention import attend, attend_fused, causal_mask, soft_cap
from handbook.model.variants import (
    WindowCache,
    alibi_bias,
    alibi_slopes,
    attend_with_sink,
    held_positions,
    sink_mask,
    window_mask,
)


@pytest.fixture
def qkv():
    torch.manual_seed(3)
    return torch.randn(2, 6, 9, 8), torch.randn(2, 2, 14, 8), torch.randn(2, 2, 14, 8)


def test_masks_by_hand():
    def rows(mask: torch.Tensor) -> list[str]:
        return ["".join(".x"[int(value)] for value in row) for row in mask]

    assert rows(window_mask(4, window=2)) == ["x...", "xx..", ".xx.", "..xx"]
    assert rows(window_mask(2, 5, window=3)) == [".xxx.", "..xxx"]
    assert rows(window_mask(2, 5, 1, window=2)) == ["xx...", ".xx.."]
    assert rows(sink_mask(5, window=2, sinks=1)) == ["x....", "xx...", "xxx..", "x.xx.", "x..xx"]
    assert rows(sink_mask(1, 6, window=2, sinks=2)) == ["xx..xx"]


@pytest.mark.parametrize("window", [9, 100])
def test_a_window_as_wide_as_the_text_hides_nothing(window):
    assert torch.equal(window_mask(9, window=window), causal_mask(9))
    assert torch.equal(sink_mask(9, window=window, sinks=3), causal_mask(9))


def test_a_cap_bounds_and_leaves_small_scores():
    scores = torch.tensor([-1e4, -50.0, 0.1, 1e4])
    expected = torch.tensor([-50.0, -38.0797, 0.1, 50.0])  # 50 * tanh(1) = 38.0797
    torch.testing.assert_close(soft_cap(scores, 50.0), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_plain_and_fused_agree(qkv, masked, biased, softcap):
    mask = window_mask(9, 14, window=4) if masked else None
    bias = alibi_bias(6, 9, 14) if biased else None
    expected = attend(*qkv, mask, softcap=softcap, bias=bias)
    torch.testing.assert_close(attend_fused(*qkv, mask, None, softcap, bias), expected, rtol=1e-5, atol=1e-5)
    if softcap or biased:
        assert not torch.allclose(attend(*qkv, mask), expected, atol=1e-3)


def test_slopes_by_hand():
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]  # Press et al. 2021, section 3
    torch.testing.assert_close(alibi_slopes(6), 2.0 ** torch.tensor([-2.0, -4, -6, -8, -1, -3]))


@pytest.mark.parametrize("heads", [1, 4, 6, 8, 12, 16])
def test_alibi_is_that_of_transformers(heads):
    """Theirs is -slope * (last position - position), the same in every row up to a constant."""
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    theirs = build_alibi_tensor(torch.ones(1, 7), heads, torch.float32).view(heads, 1, 7)
    scores, mask = torch.randn(heads, 7, 7), causal_mask(7)
    expected = (scores + theirs).masked_fill(~mask, -torch.inf).softmax(dim=-1)
    got = (scores + alibi_bias(heads, 7)).masked_fill(~mask, -torch.inf).softmax(dim=-1)
    torch.testing.assert_close(got, expected)


def test_alibi_with_cached_keys_is_a_part_of_the_whole():
    assert torch.equal(alibi_bias(3, 2, 7), alibi_bias(3, 7)[:, -2:])
    assert torch.equal(alibi_bias(3, 2, 7, 3)[:, :, :5], alibi_bias(3, 5)[:, 3:])


def test_learned_sinks_are_those_of_transformers(qkv):
    from transformers.models.gpt_oss.modeling_gpt_oss import eager_attention_forward

    q, k, v = qkv
    sink, mask = torch.randn(6), window_mask(9, 14, window=5)
    module = SimpleNamespace(num_key_value_groups=3, sinks=sink, training=False)
    added = torch.zeros(9, 14).masked_fill(~mask, torch.finfo(torch.float32).min)[None, None]
    expected, _ = eager_attention_forward(module, q, k, v, added, scaling=8**-0.5)
    got = attend_with_sink(q, k, v, sink, mask)
    torch.testing.assert_close(got.transpose(1, 2), expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(got, attend(q, k, v, mask), atol=1e-3)
    nowhere = attend_with_sink(q, k, v, sink, torch.zeros(9, 14, dtype=torch.bool))
    assert torch.equal(nowhere, torch.zeros_like(nowhere))


def test_held_positions():
    assert [held_positions(n, 4, 1) for n in (0, 3, 5, 6, 900)] == [0, 3, 5, 5, 5]
    assert held_positions(900) == held_positions(900, 0, 4) == 900


def test_a_window_cache_gives_back_the_last_positions():
    k = torch.arange(12.0).view(1, 1, 12, 1)
    cache = WindowCache([3, 0])
    for start, stop in ((0, 2), (2, 7), (7, 8), (8, 12)):
        near, _ = cache.append(0, k[:, :, start:stop], k[:, :, start:stop])
        every, _ = cache.append(1, k[:, :, start:stop], -k[:, :, start:stop])
        assert near.flatten().tolist() == list(range(max(0, start - 3), stop))
        assert every.flatten().tolist() == list(range(stop))
        assert cache.length == stop
    assert cache.nbytes == (3 + 12) * 2 * 4


def test_a_window_cache_takes_back_what_it_still_has():
    k = torch.arange(6.0).view(1, 1, 6, 1)
    cache = WindowCache([8])
    cache.append(0, k, k)
    cache.truncate(4)
    assert (cache.length, cache.nbytes) == (4, 4 * 2 * 4)
    assert cache.append(0, k[:, :, :1], k[:, :, :1])[0].flatten().tolist() == [0, 1, 2, 3, 0]
    cache.append(0, k, k)
    with pytest.raises(ValueError, match="layer 0 has forgotten positions"):
        cache.truncate(5)
    with pytest.raises(ValueError, match=r"0 \.\. 11 positions, got 12"):
        cache.truncate(12)
    cache.truncate(0)
    assert (cache.length, cache.nbytes) == (0, 0)
