"""Costs from the configuration against the modules themselves and torch's FLOP counter: equal, not near."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from handbook.model import count, counting
from handbook.model.config import ModelConfig
from handbook.model.transformer import Trace, Transformer

BASE = {
    "vocab_size": 50,
    "dim": 24,
    "layers": 3,
    "heads": 6,
    "kv_heads": 2,
    "head_dim": 4,
    "hidden_dim": 40,
    "context": 64,
}
CONFIGS = {
    "plain": {},
    "tied": {"tie_embeddings": True},
    "wide heads": {"head_dim": 10, "kv_heads": 6},
    "output bias": {"out_bias": True},
    "network biases": {"mlp_bias": True},
    "query biases, head norms": {"qkv_bias": True, "head_norm": True, "kv_heads": 1},
}


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> ModelConfig:
    return ModelConfig(**{**BASE, **CONFIGS[request.param]})


def measured_flops(model: Transformer, tokens: int, cached: int, last_only: bool) -> int:
    cache = model.new_cache(cached + tokens)
    with torch.inference_mode():
        if cached:
            model(torch.zeros(1, cached, dtype=torch.long), cache)
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, tokens, dtype=torch.long), cache, Trace(), last_only)
    return int(counter.get_total_flops())


def test_parameters(config):
    model = counting.shape_only(config)
    assert count.parameters(config) == counting.parameters(model)
    assert count.weight_bytes(config, 32) == sum(weight.nbytes for weight in model.parameters())
    assert count.weight_bytes(config, 4.5) == pytest.approx(counting.parameters(model) * 4.5 / 8, abs=1)


@pytest.mark.parametrize(("tokens", "cached"), [(1, 0), (1, 20), (13, 0), (5, 9)])
@pytest.mark.parametrize("last_only", [False, True])
def test_flops(config, tokens, cached, last_only):
    expected = measured_flops(Transformer(config), tokens, cached, last_only)
    assert count.forward_flops(config, tokens, cached, 1 if last_only else None) == expected


def test_prefill_and_decode_are_two_views_of_the_same(config):
    model = Transformer(config)
    assert count.prefill_flops(config, 13) * 13 == pytest.approx(measured_flops(model, 13, 0, True))
    assert count.decode_flops(config, 20) == measured_flops(model, 1, 20, False)


def test_cache(config):
    cache = Transformer(config).new_cache(17, batch=2)
    assert count.kv_bytes(config, 17, batch=2, bytes_per_value=4) == cache.nbytes


def test_windows():
    """One layer of three sees everything; the others keep 8 positions."""
    config = ModelConfig(**BASE, windows=(8, 0, 8))
    model = Transformer(config)
    cache = model.new_window_cache()
    with torch.inference_mode():
        model(torch.zeros(2, 30, dtype=torch.long), cache)
        assert cache.nbytes == count.kv_bytes(config, 30, batch=2, bytes_per_value=4) == (8 + 30 + 8) * 128
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(2, 1, dtype=torch.long), cache, Trace())
    assert counter.get_total_flops() == 2 * count.decode_flops(config, 30)
    assert count.kv_bytes(config, 30, sinks=4) == (12 + 30 + 12) * 32


def test_a_dense_model_is_active_as_a_whole(config):
    assert count.active_parameters(config) == count.parameters(config)


def test_the_size_in_the_name():
    """Llama 3.1 8B: 8.03 billion weights, 128 KiB of cache for each token (Grattafiori et al. 2024,
    arXiv:2407.21783, table 3)."""
    llama = ModelConfig(
        vocab_size=128256,
        dim=4096,
        layers=32,
        heads=32,
        kv_heads=8,
        head_dim=128,
        hidden_dim=14336,
        context=131072,
    )
    assert count.parameters(llama) == 8_030_261_248
    assert count.kv_bytes(llama, 1) == 131072
    assert count.decode_flops(llama, 0) == pytest.approx(
        2 * (count.parameters(llama) - 128256 * 4096), rel=1e-3
    )


MIXTRAL = {
    "model_type": "mixtral",
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 32768,
}
DEEPSEEK_V2 = {
    "model_type": "deepseek_v2",
    "vocab_size": 102400,
    "hidden_size": 5120,
    "intermediate_size": 12288,
    "moe_intermediate_size": 1536,
    "num_hidden_layers": 60,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "n_routed_experts": 160,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "first_k_dense_replace": 1,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "max_position_embeddings": 163840,
}
GEMMA_2_2B = {
    "model_type": "gemma2",
    "vocab_size": 256000,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 8192,
}


DEEPSEEK_V3 = DEEPSEEK_V2 | {
    "model_type": "deepseek_v3",
    "vocab_size": 129280,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "n_group": 8,
    "topk_group": 4,
}


GEMMA_3_1B = GEMMA_2_2B | {
    "model_type": "gemma3_text",
    "vocab_size": 262144,
    "hidden_size": 1152,
    "intermediate_size": 6912,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "sliding_window": 512,
    "max_position_embeddings": 32768,
}


@pytest.mark.parametrize(
    ("raw", "total", "active"),
    [
        (MIXTRAL, 46.7e9, 12.9e9),  # Jiang et al. 2024, arXiv:2401.04088: 47 and 13 billion
        (DEEPSEEK_V2, 236e9, 21e9),  # arXiv:2405.04434, section 3.1.2: 236 and 21 billion
        # arXiv:2412.19437, section 4.2: 671 and 37 billion without the module that predicts a second token
        (DEEPSEEK_V3, 671e9, 37e9),
        (GEMMA_2_2B, 2.6e9, 2.6e9),  # arXiv:2408.00118, table 2: 590 million embedded, 2,024 million others
        (GEMMA_3_1B, 1e9, 1e9),  # arXiv:2503.19786, table 1: 302 million embedded, 698 million others
    ],
    ids=["mixtral", "deepseek v2", "deepseek v3", "gemma 2", "gemma 3"],
)
def test_published_sizes(raw, total, active):
    config = ModelConfig.from_hf(raw)
    assert count.parameters(config) == pytest.approx(total, rel=0.01)
    assert count.active_parameters(config) == pytest.approx(active, rel=0.02)


def test_deepseek_v3_to_the_last_weight():
    """Its model card says 671B, and 685B for the files: the difference is one more block, which predicts a
    second token, with copies of embedding and head. That block is not computed here."""
    config = ModelConfig.from_hf(DEEPSEEK_V3)
    biases = 58 * 256  # of the choice of experts: buffers, which training doesn't count as weights
    assert count.parameters(config) + biases == 671_026_419_200
    block = count.attention_size(config).total + count.mlp_size(config, 60).total
    ahead = block + 2 * config.dim * config.dim + 5 * config.dim
    assert block == pytest.approx(11.5e9, rel=1e-3)
    embedding = config.vocab_size * config.dim
    assert count.parameters(config) + ahead + 2 * embedding == pytest.approx(685e9, rel=1e-3)
    # 36.6 billion of active weights with the head alone, 37.6 with the embedding, which a token reads one
    # row of: the paper rounds to 37
    assert count.active_parameters(config) - embedding == pytest.approx(36.6e9, rel=1e-3)
    assert count.kv_bytes(config, 1) == 61 * (512 + 64) * 2 == 70272
