"""Each family's logits against transformers, on tiny random models over its switches.

Tolerance: fp32, and sums of about a hundred products of size one whose order differs.
"""

import copy
import json

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from handbook.errors import ModelFileError
from handbook.model import count, counting
from handbook.model.families import FAMILIES, family_of
from handbook.model.load import from_hf
from handbook.model.transformer import Trace
from handbook.model.weights.safetensors import SINGLE, SafetensorsWeights
from handbook.model.weights.unfuse import unfuse

CLOSE = {"rtol": 2e-5, "atol": 2e-5}
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 20}
QWEN2 = EXPERTS | {"shared_expert_intermediate_size": 36}
OLMOE = {"num_experts": 6, "num_experts_per_tok": 3, "norm_topk_prob": False, "pad_token_id": None}
LATENT = {
    "num_key_value_heads": 6,
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 20,
    "n_shared_experts": 2,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 16,
    "q_lora_rank": 12,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 10,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "mscale": 0.7,
    "mscale_all_dim": 0.9,
}
SWITCHES = {
    "gemma": ("gemma", {"head_dim": 12}),
    "gemma, tied, biases": ("gemma", {"head_dim": 8, "tie_word_embeddings": True, "attention_bias": True}),
    "gemma2": ("gemma2", {"head_dim": 12, "query_pre_attn_scalar": 20, "sliding_window": 9}),
    "gemma2, low caps": (
        "gemma2",
        {
            "head_dim": 8,
            "sliding_window": 64,
            "query_pre_attn_scalar": 4,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 1.5,
        },
    ),
    "phi": ("phi", {"num_key_value_heads": 6, "layer_norm_eps": 1e-3}),
    "phi, a quarter turns": ("phi", {"partial_rotary_factor": 0.25}),
    "phi3": ("phi3", {"pad_token_id": None}),
    "phi3, window, partial": (
        "phi3",
        {
            "pad_token_id": None,
            "sliding_window": 9,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
        },
    ),
    "mixtral": ("mixtral", {"num_local_experts": 6}),
    "mixtral, window, k = 3": (
        "mixtral",
        {"num_local_experts": 5, "num_experts_per_tok": 3, "sliding_window": 11},
    ),
    "olmoe": ("olmoe", OLMOE),
    "olmoe, normalised": ("olmoe", OLMOE | {"norm_topk_prob": True}),
    "qwen2_moe": ("qwen2_moe", QWEN2),
    "qwen2_moe, every other layer": ("qwen2_moe", QWEN2 | {"decoder_sparse_step": 2, "norm_topk_prob": True}),
    "qwen3_moe": ("qwen3_moe", EXPERTS | {"norm_topk_prob": True}),
    "qwen3_moe, first layer dense": ("qwen3_moe", EXPERTS | {"mlp_only_layers": [0]}),
    "deepseek_v2": ("deepseek_v2", LATENT),
    "deepseek_v2, queries from the stream": ("deepseek_v2", LATENT | {"q_lora_rank": None}),
    "deepseek_v2, groups, yarn": (
        "deepseek_v2",
        LATENT
        | {
            "topk_method": "group_limited_greedy",
            "n_group": 3,
            "topk_group": 2,
            "routed_scaling_factor": 2.5,
            "rope_parameters": YARN,
        },
    ),
}


LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0, 1.1, 1.3, 1.7],
    "long_factor": [1.2, 2.0, 3.5, 4.0],
    "original_max_position_embeddings": 40,
}
LONG = {"pad_token_id": None, "original_max_position_embeddings": 40}
NESTED = {
    "full_attention": {"rope_type": "linear", "rope_theta": 5e5, "factor": 4.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 3e3},
}
GEMMA3 = {"head_dim": 12, "query_pre_attn_scalar": 20, "sliding_window": 9, "num_hidden_layers": 4}
SWITCHES |= {
    "phi, normalised heads": ("phi", {"qk_layernorm": True, "num_key_value_heads": 6}),
    "phi3, longrope": ("phi3", LONG | {"rope_parameters": LONGROPE}),
    "phi3, longrope, partial, attention given": (
        "phi3",
        LONG
        | {
            "rope_parameters": LONGROPE
            | {
                "short_factor": [1.5, 2.0],
                "long_factor": [3.0, 5.0],
                "partial_rotary_factor": 0.5,
                "attention_factor": 1.3,
            },
        },
    ),
    "olmoe, clipped": ("olmoe", OLMOE | {"clip_qkv": 0.7}),
    "gemma3_text": (
        "gemma3_text",
        GEMMA3 | {"layer_types": ["sliding_attention", "full_attention"] * 2, "rope_parameters": NESTED},
    ),
    "gemma3_text, pattern, cap, biases": (
        "gemma3_text",
        GEMMA3
        | {
            "sliding_window_pattern": 3,
            "attention_bias": True,
            "final_logit_softcapping": 1.5,
        },
    ),
}
V3 = LATENT | {"n_group": 3, "topk_group": 2, "routed_scaling_factor": 2.5}
SWITCHES |= {
    "deepseek_v3": ("deepseek_v3", V3),
    "deepseek_v3, halves, queries from the stream": (
        "deepseek_v3",
        V3 | {"rope_interleave": False, "q_lora_rank": None, "norm_topk_prob": False},
    ),
    "deepseek_v3, yarn, one group": (
        "deepseek_v3",
        V3 | {"n_group": 1, "topk_group": 1, "first_k_dense_replace": 2, "rope_parameters": YARN},
    ),
}


@pytest.fixture(params=SWITCHES, scope="module")
def pair(request, tiny):
    kind, switches = SWITCHES[request.param]
    return tiny(kind, **switches)


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(0, 96, (2, 70), generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def expected(pair, tokens):
    with torch.inference_mode():
        logits = pair.theirs(tokens).logits
    assert logits.std() > 0.3, "logits this small would agree whatever was computed"
    return logits


def test_logits_are_those_of_transformers(pair, tokens, expected):
    with torch.inference_mode():
        torch.testing.assert_close(pair.ours(tokens), expected, **CLOSE)
        trace = Trace()
        torch.testing.assert_close(pair.ours(tokens, trace=trace), expected, **CLOSE)
        theirs = pair.theirs(tokens, output_attentions=True)
    for ours, other in zip(trace.attention, theirs.attentions, strict=True):
        torch.testing.assert_close(ours, other, **CLOSE)


@pytest.mark.parametrize("forgets", [False, True])
def test_logits_with_cache_in_uneven_pieces(pair, tokens, expected, forgets):
    """As in one pass; with LongRoPE as transformers in the same pieces, because keys stay as they were turned
    before the text grew past the trained context."""
    from transformers import DynamicCache

    cache = pair.ours.new_window_cache() if forgets else pair.ours.new_cache(70, batch=2)
    cut = tokens.split([40, 1, 1, 17, 1, 10], dim=1)
    with torch.inference_mode():
        pieces = [pair.ours(piece, cache) for piece in cut]
        if (scaling := pair.ours.config.rope_scaling) and scaling.kind == "longrope":
            held = DynamicCache()
            theirs = torch.cat([pair.theirs(piece, past_key_values=held).logits for piece in cut], dim=1)
            assert not torch.allclose(expected, theirs, atol=1e-2), "the keys should not have turned again"
            expected = theirs
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected, **CLOSE)


def test_gradients_are_those_of_transformers(pair, tokens, tmp_path):
    """Theirs saved as if they were weights, so that they come in the pieces of a file. A gradient sums 140
    tokens of both signs: it is compared to within 2e-5 of its tensor's largest."""
    target = torch.randn(2, 70, 96, generator=torch.Generator().manual_seed(6)) / 100
    ours = copy.deepcopy(pair.ours).requires_grad_()
    (ours(tokens) * target).sum().backward()
    theirs = copy.deepcopy(pair.theirs)
    (theirs(tokens).logits * target).sum().backward()
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.copy_(weight.grad)
    theirs.save_pretrained(tmp_path)
    family, weights = family_of(pair.theirs.config.to_dict()), SafetensorsWeights(tmp_path)
    _, gradient = unfuse(weights.shapes, weights.tensor, family.split, pair.ours.config)
    for name, weight in ours.named_parameters():
        expected = gradient(family.table.theirs(name))
        largest = float(expected.abs().max())
        assert largest > 0, name
        torch.testing.assert_close(weight.grad, expected, rtol=0, atol=2e-5 * largest, msg=name)


def test_every_tensor_has_a_place_and_comes_back(pair):
    """The table reads both ways, and a file with one tensor more or less is refused elsewhere."""
    raw = json.loads((pair.folder / "config.json").read_text(encoding="utf-8"))
    table, weights = family_of(raw).table, SafetensorsWeights(pair.folder)
    shapes, _ = unfuse(weights.shapes, weights.tensor, family_of(raw).split, pair.ours.config)
    ours = set(pair.ours.state_dict())
    assert {table.ours(name) for name in shapes} - {"head.weight"} == ours - {"head.weight"}
    assert {table.theirs(name) for name in ours} <= set(shapes)


def test_counted_from_the_configuration(pair, tokens):
    """Weights equal; FLOPs equal to what torch counts; active weights by leaving the idle experts out."""
    model, config = pair.ours, pair.ours.config
    assert count.parameters(config) == counting.parameters(model)
    assert counting.parameters(model) == sum(weight.numel() for weight in pair.theirs.parameters())
    mixture = [block.mlp for block in model.blocks if hasattr(block.mlp, "router")]
    idle = sum(
        (m.router.experts - m.router.k) * sum(weight[0].numel() for weight in m.experts.parameters())
        for m in mixture
    )
    assert count.active_parameters(config) == counting.parameters(model) - idle
    cache = model.new_window_cache()
    for piece in tokens.split([50, 1, 19], dim=1):
        held = cache.length
        with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counting.flop_counter() as counter:
            model(piece, cache)
        assert counter.get_total_flops() == 2 * count.forward_flops(config, piece.shape[1], held)
    assert cache.nbytes == count.kv_bytes(config, 70, batch=2, bytes_per_value=4)


def test_a_filled_cache_is_of_the_models_shape(pair):
    cache = counting.filled_cache(pair.ours, 12, batch=2)
    assert cache.length == 12
    with torch.inference_mode():
        assert pair.ours(torch.zeros(2, 1, dtype=torch.long), cache).isfinite().all()


def test_a_selection_bias_loads_and_saves_by_its_name_and_stays_in_fp32(tiny, tmp_path):
    """In 16 bits, too: its steps are small. What predicts further tokens, behind the last block, is left."""
    from safetensors.torch import load_file, save_file

    pair = tiny("deepseek_v3", **V3)
    name = "model.layers.1.mlp.gate.e_score_correction_bias"
    file = load_file(pair.folder / SINGLE)
    state, table = pair.ours.state_dict(), FAMILIES["deepseek_v3"].table
    assert {theirs for theirs in map(table.theirs, state) if "e_score" in theirs} == {
        f"model.layers.{layer}.mlp.gate.e_score_correction_bias" for layer in (1, 2)
    }
    assert torch.equal(state[table.ours(name)], file[name])
    assert file[name].std() > 0.05
    extra = {f"model.layers.3.{part}.weight": torch.ones(2) for part in ("eh_proj", "mlp.gate_proj")}
    save_file(file | extra, tmp_path / SINGLE)
    raw = json.loads((pair.folder / "config.json").read_text(encoding="utf-8"))
    model = from_hf(raw | {"num_nextn_predict_layers": 1}, tmp_path, torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert torch.equal(model.blocks[1].mlp.router.bias, file[name])
    with pytest.raises(ModelFileError, match=r"model.layers.3.eh_proj.weight has no place"):
        from_hf(raw | {"num_nextn_predict_layers": 0}, tmp_path)
    with pytest.raises(ModelFileError, match=r"num_nextn_predict_layers as a number from 0 on, got 'one'"):
        from_hf(raw | {"num_nextn_predict_layers": "one"}, tmp_path)


def test_the_table_of_families_is_tested():
    tested = {kind for kind, _ in SWITCHES.values()}
    assert tested | {"llama", "mistral", "qwen2", "qwen3"} == set(FAMILIES)
