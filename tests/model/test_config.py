"""Configurations that cannot be: every fault in one error, and nothing but that error."""

import pytest

from handbook.errors import ModelFileError
from handbook.model.config import Latent, Mixture, ModelConfig
from handbook.model.extension import RopeScaling

SIZES = {
    "vocab_size": 50,
    "dim": 24,
    "layers": 3,
    "heads": 6,
    "kv_heads": 2,
    "head_dim": 4,
    "hidden_dim": 40,
    "context": 64,
}
HUB = {
    "vocab_size": 50,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "head_dim": 4,
    "max_position_embeddings": 64,
    "num_experts": 4,
    "n_group": 2,
    "topk_group": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 20,
    "shared_expert_intermediate_size": 16,
    "n_shared_experts": 1,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
}


LONGROPE = {"original_max_position_embeddings": 32, "short_factor": [1.0, 1.5], "long_factor": [1.5, 4.0]}
YARN = {"type": "yarn", "factor": 2.0}


def message(build) -> str:
    with pytest.raises(ModelFileError) as caught:
        build()
    assert caught.value.remedy
    return caught.value.what


def test_every_fault_of_a_config_is_named():
    what = message(
        lambda: ModelConfig(
            **SIZES | {"dim": 0, "kv_heads": 4, "head_dim": 7},
            norm_eps=0.0,
            rope_theta=1.0,
            rope_scaling=RopeScaling("yarn", 0.5, 0, 4.0, 2.0),
            windows=(4, -1),
            attention_softcap=-1.0,
            norm="batch",
            network="relu",
            layout="ring",
            head_norm=True,
            width_norm=True,
            mixture=Mixture(experts=7, k=9, hidden_dim=0, groups=2, shared_gate=True),
            latent=Latent(rank=0, rope_dim=8, value_dim=4),
        )
    )
    for part in (
        "dim is 0",
        "heads (6) is not a multiple of kv_heads (4)",
        "7 channels of 7 cannot turn in pairs",
        "norm_eps is 0.0",
        "rope_theta is 1.0",
        "RoPE's factor is 0.5",
        "RoPE's original context is 0",
        "RoPE's bounds should rise from above 0, got 4.0 and 2.0",
        "windows should be one for each of 3 layers, got 2 from -1",
        "attention_softcap is -1.0",
        "norm is 'batch', not one of rms, rms+1, layer",
        "network is 'relu'",
        "layout is 'ring'",
        "not both",
        "k must lie between 1 and the number of experts, got k = 9 of 7",
        "experts must divide into equal groups, got 7 experts in 2 groups",
        "expert widths are 0",
        "gate needs a shared expert",
        "latent rank is 0",
        "8 channels of 7 cannot turn beside some that don't",
    ):
        assert part in what


def test_every_fault_of_a_file_is_named_with_those_of_its_numbers():
    raw = HUB | {
        "model_type": "mixtral",
        "hidden_size": "24",
        "hidden_act": "relu",
        "num_key_value_heads": 4,
        "vocab_size": None,
        "num_experts_per_tok": 5,
        "sliding_window": -3,
        "rope_parameters": {"rope_type": "proportional"},
        "rms_norm_eps": True,
    }
    what = message(lambda: ModelConfig.from_hf(raw))
    for part in (
        "give hidden_size as a number, got '24'",
        "activation 'relu', and this decoder computes silu, gelu_pytorch_tanh",
        "heads (6) is not a multiple of kv_heads (4)",
        "give vocab_size as a number, got None",
        "got k = 5 of 4",
        "got 3 from -3",
        "RoPE scaling 'proportional', and this decoder computes default, linear, dynamic, yarn, llama3",
        "give rms_norm_eps as a number, got True",
    ):
        assert part in what
    assert "dim is" not in what, "what could not be read is said once"


@pytest.mark.parametrize(
    ("kind", "rope", "context", "reach"),
    [
        (
            "yarn",
            {"factor": 4.0, "original_max_position_embeddings": 32},
            129,
            "129, and yarn by 4 reaches 128",
        ),
        ("yarn", {"factor": 4.0, "original_max_position_embeddings": 32}, 128, None),
        ("dynamic", {"factor": 4.0}, 500, None),
        ("longrope", LONGROPE | {"factor": 4.0}, 129, "129, and longrope by 4 reaches 128"),
        ("longrope", LONGROPE, 4096, None),
        ("longrope", LONGROPE | {"original_max_position_embeddings": 1}, 64, "original context is 1"),
        (
            "llama3",  # Llama 3.1 itself: 8 times 8192 is less than the 131072 it was trained on
            {
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
            131072,
            None,
        ),
    ],
)
def test_a_context_that_the_method_does_not_reach(kind, rope, context, reach):
    raw = HUB | {"model_type": "llama", "max_position_embeddings": context}
    raw["rope_parameters"] = {"rope_type": kind, "rope_theta": 1e4} | rope
    if reach is None:
        ModelConfig.from_hf(raw)
    else:
        assert reach in message(lambda: ModelConfig.from_hf(raw))


@pytest.mark.parametrize(
    ("kind", "changes", "part"),
    [
        ("phi", {"hidden_act": "silu"}, "activation 'silu'"),
        ("olmoe", {"clip_qkv": -8.0}, "qkv_clip is -8"),
        ("olmoe", {"clip_qkv": [8]}, "give clip_qkv as a number, got [8]"),
        ("gemma3_text", {"use_bidirectional_attention": True}, "attention to later tokens"),
        ("gemma3_text", {"attn_logit_softcapping": 50.0}, "capped scores of normalised heads"),
        ("gemma3_text", {"rope_local_base_freq": 0.5}, "local_theta is 0.5"),
        (
            "gemma3_text",
            {"rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}}},
            "an extended context in layers with a window",
        ),
        (
            "gemma3_text",
            {"sliding_window": 4, "sliding_window_pattern": "six"},
            "sliding_window_pattern as a n",
        ),
        ("mistral", {"sliding_window": 4, "layer_types": ["chunked_attention"] * 3}, "layers ['chunked_att"),
        ("mistral", {"sliding_window": 4, "layer_types": "full_attention"}, "layers 'full_attention', and"),
        ("llama", {"rope_scaling": {"type": "yarn", "factor": 2.0, "truncate": False}}, "fractions of pairs"),
        (
            "phi3",
            {"rope_scaling": {"type": "su", "short_factor": [1.0, 2.0]}},
            "long_factor as a list of numbers",
        ),
        (
            "phi3",
            {"rope_scaling": {"type": "longrope", "short_factor": [1.0], "long_factor": [1.0, -2.0]}},
            "short factors should be 2 above 0, got 1; RoPE's long factors should be 2 above 0, got 2",
        ),
        ("deepseek_v2", {"topk_method": "noaux_tc"}, "routing 'noaux_tc'"),
        (
            "deepseek_v2",
            {"topk_method": "group_limited_greedy", "n_group": 3, "topk_group": 1},
            "4 experts in 3",
        ),
        ("deepseek_v2", {"topk_method": "group_limited_greedy", "n_group": None}, "give n_group as a number"),
        ("deepseek_v3", {"scoring_func": "softmax"}, "scores by 'softmax'"),
        ("deepseek_v3", {"n_group": None}, "give n_group as a number, got None"),
        ("deepseek_v3", {"n_group": 4}, "group_best must lie between 1 and the group's size 1"),
        ("deepseek_v2", {"qk_rope_head_dim": 3}, "3 channels of 7 cannot turn in pairs"),
        ("deepseek_v2", {"attention_bias": True}, "biases in latent attention"),
        ("deepseek_v2", {"q_lora_rank": -4}, "give q_lora_rank as a number from 0 on, got -4"),
        ("deepseek_v2", {"q_lora_rank": 1 << 25}, "latent query_rank is 33554432"),
        ("deepseek_v2", {"v_head_dim": 1 << 23}, "6 heads of values of 8388608 are too wide"),
        ("deepseek_v2", {"routed_scaling_factor": 0}, "experts' weights are scaled by 0.0"),
        ("deepseek_v2", {"n_shared_experts": -1}, "give n_shared_experts as a number from 0 on, got -1"),
        ("deepseek_v2", {"first_k_dense_replace": -1}, "give first_k_dense_replace as a number from 0 on"),
        ("deepseek_v3", {"num_nextn_predict_layers": -1}, "predict_layers as a number from 0 on, got -1"),
        ("mixtral", {"num_experts": 1 << 20, "intermediate_size": 64}, "1048576 experts of 64 are too wide"),
        ("qwen2_moe", {"decoder_sparse_step": 0}, "give decoder_sparse_step as a number from 1 on, got 0"),
        ("llama", {"head_dim": 1 << 23}, "6 heads of 8388608 are too wide"),
        ("llama", {"attention_bias": "false"}, "give attention_bias as true or false, got 'false'"),
        ("llama", {"tie_word_embeddings": "false"}, "give tie_word_embeddings as true or false, got 'false'"),
        ("llama", {"rope_scaling": False}, "give rope_scaling as a table, got False"),
        ("llama", {"hidden_act": ""}, "activation ''"),
        ("llama", {"num_hidden_layers": 4097}, "layers is 4097, and this decoder takes no more than 4096"),
        ("llama", {"head_dim": 2, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, "there is one pair"),
        ("llama", {"rope_scaling": YARN | {"attention_factor": 0}}, "attention factor is 0.0"),
        (
            "llama",
            {"rope_scaling": YARN | {"mscale": -14.4, "mscale_all_dim": 1}},
            "give mscale as a number from 0 on, got -14.4",
        ),
        (
            "llama",
            {"rope_scaling": {"type": "linear", "factor": 2.0, "original_max_position_embeddings": 31}},
            "context is 64, and linear by 2 reaches 62",
        ),
        ("gemma2", {"query_pre_attn_scalar": -4}, "attention_scale is -4"),
        ("qwen3_moe", {"mlp_only_layers": "all"}, "mlp_only_layers as a list of numbers"),
        (
            "mistral",
            {"sliding_window": 4, "layer_types": ["full_attention"]},
            "one for each of 3 layers, got 1",
        ),
    ],
)
def test_what_a_family_may_not_have(kind, changes, part):
    ModelConfig.from_hf(HUB | {"model_type": kind})
    assert part in message(lambda: ModelConfig.from_hf(HUB | {"model_type": kind} | changes))


def test_what_a_file_may_leave_unsaid():
    """As the oldest files of each family do."""

    def read(kind: str, **changes: object) -> ModelConfig:
        return ModelConfig.from_hf(HUB | {"model_type": kind, "head_dim": None} | changes)

    assert read("gemma2", sliding_window=9).windows == (9, 0, 9)
    assert read("gemma2", sliding_window=9, head_dim=12).attention_scale == 256**-0.5
    assert read("gemma3_text", sliding_window=9, num_hidden_layers=7).windows == (9, 9, 9, 9, 9, 0, 9)
    assert read("gemma3_text").local_theta == 1e4
    assert read("gemma3_text").rope_theta == 1e6
    assert read("gemma3_text", rope_theta=5e5, rope_local_base_freq=3e3).local_theta == 3e3
    assert read("gemma3_text", rope_theta=5e5).rope_theta == 5e5
    assert read("gemma3_text").head_norm
    assert not read("gemma2").head_norm
    assert read("gemma").head_dim == 256
    assert read("gemma").tie_embeddings
    assert not read("gemma", tie_word_embeddings=False).tie_embeddings
    assert read("phi").rotary_dim == 2
    assert read("phi", partial_rotary_factor=1.0).rotary_dim is None
    assert read("qwen3").head_dim == 128
    assert read("llama").head_dim == 4
    assert read("mixtral", num_key_value_heads=None).kv_heads == 6
    assert read("qwen2_moe", decoder_sparse_step=2).mixture.dense == (0, 2)
    long = {"type": "su", "short_factor": [1.0, 1.5], "long_factor": [1.5, 4.0]}
    beside = read("phi3", rope_scaling=long, original_max_position_embeddings=16)  # as Phi-3's files have it
    assert beside.rope_scaling == RopeScaling("longrope", 4.0, 16, short=(1.0, 1.5), long=(1.5, 4.0))
    assert beside.context == 64
