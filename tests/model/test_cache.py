"""The contiguous KV cache and its arithmetic."""

import pytest
import torch

from handbook.model.cache import KVCache, cache_bytes


def block(tokens: int, value: float = 0.0) -> torch.Tensor:
    return torch.full((1, 3, tokens, 4), value)


def test_worked_example():
    """SmolLM2-135M: 30 layers, 3 key and value heads of 64, 2 bytes: 2 * 30 * 3 * 64 * 2 = 23,040 a token."""
    assert cache_bytes(layers=30, kv_heads=3, head_dim=64, tokens=1) == 23_040
    assert cache_bytes(layers=30, kv_heads=3, head_dim=64, tokens=8192, batch=2, bytes_per_value=4) == 2 * (
        2 * 23_040 * 8192
    )


def test_bytes_are_those_that_are_allocated():
    cache = KVCache(2, 3, 4, capacity=10, batch=5, dtype=torch.bfloat16)
    assert cache.nbytes == cache_bytes(2, 3, 4, 10, batch=5, bytes_per_value=2)


def test_append_returns_everything_so_far():
    cache = KVCache(2, 3, 4, capacity=4)
    cache.append(0, block(3, 1.0), block(3, 2.0))
    assert cache.length == 0, "layer 1 does not hold them yet"
    cache.append(1, block(3), block(3))
    assert cache.length == 3
    k, v = cache.append(0, block(1, 5.0), block(1, 6.0))
    assert k.shape == v.shape == (1, 3, 4, 4)
    assert k[0, 0, :, 0].tolist() == [1, 1, 1, 5]
    assert v[0, 2, :, 3].tolist() == [2, 2, 2, 6]
    assert k.data_ptr() == cache.keys.data_ptr(), "a view, not a copy"


def test_full_is_said():
    cache = KVCache(1, 3, 4, capacity=4)
    cache.append(0, block(4), block(4))
    with pytest.raises(ValueError, match="room for 4 positions, 5 are needed"):
        cache.append(0, block(1), block(1))
    assert cache.length == 4


def test_truncate_forgets_the_end():
    cache = KVCache(1, 3, 4, capacity=4)
    cache.append(0, block(4, 1.0), block(4, 1.0))
    cache.truncate(2)
    assert cache.length == 2
    k, _ = cache.append(0, block(1, 9.0), block(1, 9.0))
    assert k[0, 0, :, 0].tolist() == [1, 1, 9]
    with pytest.raises(ValueError, match=r"0 \.\. 3 positions, got 4"):
        cache.truncate(4)


def test_a_truncated_cache_gives_the_same_logits(tiny):
    model = tiny().ours
    tokens = torch.arange(30)[None]
    with torch.inference_mode():
        expected = model(tokens)[:, 20:]
        cache = model.new_cache(30)
        model(tokens.flip(1), cache)
        cache.truncate(0)
        model(tokens[:, :20], cache)
        model(tokens[:, :5], cache)
        cache.truncate(20)
        torch.testing.assert_close(model(tokens[:, 20:], cache), expected, rtol=1e-5, atol=1e-5)
