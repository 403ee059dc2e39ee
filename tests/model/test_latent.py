"""Multi-head latent attention: absorbed and plain, and what the cache keeps. Against transformers:
test_families."""

import pytest
import torch

from handbook.model import count
from handbook.model.attention import causal_mask
from handbook.model.cache import KVCache
from handbook.model.config import Latent, ModelConfig
from handbook.model.latent import LatentAttention
from handbook.model.rope import rope_tables

# absorbed: sums over the latent's 16 channels come in another order; double precision makes it exact enough
EXACT = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture(params=[0, 12], ids=["queries from the stream", "queries from a latent"])
def layer(request: pytest.FixtureRequest) -> LatentAttention:
    torch.manual_seed(1)
    made = LatentAttention(24, 6, 8, 4, 10, 16, request.param).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(std=0.4)
    return made


def tables(start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
    return rope_tables(torch.arange(start, stop), 4)


@pytest.mark.parametrize("cached", [0, 7])
@pytest.mark.parametrize("T", [1, 5])
def test_absorbed_is_plain(layer, cached, T):
    x = torch.randn(2, cached + T, 24, dtype=torch.float64)
    outputs = []
    for absorbed in (False, True):
        cache = KVCache(1, 1, 4, 12, batch=2, dtype=torch.float64, value_dim=16)
        if cached:
            layer(x[:, :cached], causal_mask(cached), tables(0, cached), cache)
        mask = causal_mask(T, cached + T)
        outputs.append(layer(x[:, cached:], mask, tables(cached, cached + T), cache, absorbed=absorbed))
    torch.testing.assert_close(*outputs, **EXACT)
    assert outputs[0].std() > 0.3


def test_gradients_are_the_same_too(layer):
    x = torch.randn(2, 5, 24, dtype=torch.float64)
    gradients = []
    for absorbed in (False, True):
        layer.zero_grad()
        layer(x, causal_mask(5), tables(0, 5), absorbed=absorbed).square().sum().backward()
        gradients.append([weight.grad.clone() for weight in layer.parameters()])
    for plain, other in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, other, **EXACT)


def test_one_token_at_a_time_is_absorbed(layer, monkeypatch):
    x, rope = torch.randn(1, 1, 24, dtype=torch.float64), tables(0, 1)
    expected = layer(x, None, rope, absorbed=False)
    monkeypatch.setattr(layer, "unfold", lambda *_: pytest.fail("keys were unfolded"))
    torch.testing.assert_close(layer(x, None, rope), expected, **EXACT)


def test_positions_are_needed(layer):
    with pytest.raises(ValueError, match="needs rope, got None"):
        layer(torch.randn(1, 3, 24, dtype=torch.float64))


def test_the_cache_of_deepseek_v2():
    """60 layers of 512 + 64 values are 69,120 bytes a token in 16 bits; 128 heads of keys and values of 128
    would be 3.9 million (arXiv:2405.04434, table 1)."""
    config = ModelConfig(
        vocab_size=102400,
        dim=5120,
        layers=60,
        heads=128,
        kv_heads=128,
        head_dim=192,
        rotary_dim=64,
        hidden_dim=12288,
        context=163840,
        latent=Latent(rank=512, rope_dim=64, value_dim=128, query_rank=1536),
    )
    assert count.kv_bytes(config, 1) == 60 * (512 + 64) * 2 == 69120
