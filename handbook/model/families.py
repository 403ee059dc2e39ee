"""The families of decoders on the hub: what each calls its weights, and what it does differently.

A family is one entry of `FAMILIES`: rows of names that differ from Llama's, switches that all its models
share, and what its `config.json` says in words of its own. The decoder has no file for any of them.

Book: architectures/transformer-deep-dive
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from handbook.model.config import MOST_LAYERS, Latent, Mixture, ModelConfig, assemble, share
from handbook.model.extension import yarn_attention
from handbook.model.positions import local_theta, rope_of, scaling_of, windows
from handbook.model.values import Values, brief, raise_faults
from handbook.model.weights.names import EXPERTS, NameTable, hub_table
from handbook.model.weights.unfuse import Split

GATED = {"silu": "swiglu", "gelu_pytorch_tanh": "geglu"}
PLAIN = {"gelu": "gelu", "gelu_new": "gelu-tanh", "gelu_pytorch_tanh": "gelu-tanh"}


def nothing(values: Values) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Family:
    """rows: (ours, theirs) where Llama's names don't hold. switches: fields of ModelConfig. read: more of
    them, from config.json. split: tensors that hold several of ours. activations: theirs to our network.
    ahead: the key that counts blocks behind the last one, which predict further tokens; not loaded."""

    rows: tuple[tuple[str, str], ...] = ()
    switches: Mapping[str, Any] = field(default_factory=dict)
    read: Callable[[Values], Mapping[str, Any]] = nothing
    split: tuple[Split, ...] = ()
    activations: Mapping[str, str] = field(default_factory=lambda: GATED)
    ahead: str = ""
    turning: float = 1.0  # share of a head that turns, where config.json doesn't say
    theta: float = 1e4  # RoPE's base, likewise

    @property
    def table(self) -> NameTable:
        return hub_table(self.rows)


def biases(values: Values) -> dict[str, Any]:
    bias = values.flag("attention_bias")
    return {"qkv_bias": bias, "out_bias": bias, "mlp_bias": values.flag("mlp_bias")}


def qwen(values: Values, **switches: Any) -> dict[str, Any]:
    return windows(values, values.flag("use_sliding_window")) | switches


def gemma2(values: Values, every: int | None = 2) -> dict[str, Any]:
    """Every other layer sees all, from the second on (Gemma 2, arXiv:2408.00118, section 2)."""
    scalar = values.real("query_pre_attn_scalar", 256.0)
    return windows(values, full=every) | {
        "attention_scale": scalar**-0.5 if scalar and scalar > 0 else scalar,
        "attention_softcap": values.real("attn_logit_softcapping", None),
        "logit_softcap": values.real("final_logit_softcapping", None),
        **biases(values),
    }


def gemma3(values: Values) -> dict[str, Any]:
    """Every sixth layer sees all, and turns slower than those with a window (Gemma 3, arXiv:2503.19786,
    section 2)."""
    if values.flag("use_bidirectional_attention"):
        values.unsupported("attention to later tokens", "attention to earlier ones")
    if values.raw("attn_logit_softcapping") is not None:
        values.unsupported("capped scores of normalised heads", "Gemma 3's without caps")
    return gemma2(values, values.whole("sliding_window_pattern", 6, least=1)) | {
        "local_theta": local_theta(values)
    }


def mixture(values: Values, hidden: str, **switches: Any) -> dict[str, Any]:
    """A mixture whose experts are `hidden` wide: the name of a key."""
    key = next(
        (k for k in ("num_local_experts", "n_routed_experts") if values.raw(k) is not None), "num_experts"
    )
    numbers = {
        "experts": values.whole(key),
        "k": values.whole("num_experts_per_tok"),
        "hidden_dim": values.whole(hidden),
        **switches,
    }
    if numbers["experts"] is None:
        return {}
    if None in numbers.values():  # noted already; 1 stands in, so that faults of the others are found as well
        numbers |= {"groups": 1, "kept_groups": 1} | {key: 1 for key, n in numbers.items() if n is None}
    return {"mixture": Mixture(**numbers)}


def qwen_mixture(values: Values, **switches: Any) -> dict[str, Any]:
    layers, step = (
        values.whole("num_hidden_layers") or 0,
        values.whole("decoder_sparse_step", 1, least=1) or 1,
    )
    every = range(min(layers, MOST_LAYERS))
    dense = {layer for layer in every if (layer + 1) % step} | {*values.numbers("mlp_only_layers")}
    switches |= {"dense": tuple(sorted(dense)), "normalise": values.flag("norm_topk_prob")}
    return qwen(values) | mixture(values, "moe_intermediate_size", **switches)


def qwen2_moe(values: Values) -> dict[str, Any]:
    shared = values.whole("shared_expert_intermediate_size")
    found = qwen_mixture(values, shared_hidden_dim=shared, shared_gate=True)
    return found | {"qkv_bias": values.flag("qkv_bias", True)}


def olmoe(values: Values) -> dict[str, Any]:
    experts = mixture(values, "intermediate_size", normalise=values.flag("norm_topk_prob"))
    return biases(values) | experts | {"qkv_clip": values.real("clip_qkv", None)}


def latent(values: Values, **switches: Any) -> dict[str, Any]:
    """Latent attention; YaRN scales its logits a second time, by `mscale_all_dim`."""
    if values.flag("attention_bias"):
        values.unsupported("biases in latent attention", "it without")
    heads, plain, turning = (
        values.whole(key) for key in ("num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim")
    )
    sizes = {
        "rank": values.whole("kv_lora_rank"),
        "rope_dim": turning,
        "value_dim": values.whole("v_head_dim"),
        "query_rank": values.whole("q_lora_rank", 0, least=0),
    }
    head_dim = None if plain is None or turning is None else plain + turning
    sizes = {key: 1 if size is None else size for key, size in sizes.items()}  # noted, as in `mixture`
    rope = rope_of(values)
    again = rope.real("mscale_all_dim", 0.0) if rope.raw("rope_type", rope.raw("type")) == "yarn" else 0.0
    scale = yarn_attention(rope.real("factor", 1.0) or 1.0, again) ** 2 if again else 1.0
    return {
        "kv_heads": heads,
        "head_dim": head_dim,
        "rotary_dim": turning,
        "attention_scale": head_dim**-0.5 * scale if head_dim and head_dim > 0 else None,
        "latent": Latent(**sizes, **switches),
    }


def fine_grained(values: Values, **switches: Any) -> dict[str, Any]:
    """The first layers dense, then many narrow experts beside shared ones that are as wide (DeepSeekMoE)."""
    width, shared = values.whole("moe_intermediate_size"), values.whole("n_shared_experts", 0, least=0)
    first = values.whole("first_k_dense_replace", 0, least=0) or 0
    switches |= {
        "shared_hidden_dim": None if width is None or shared is None else width * shared,
        "dense": tuple(range(min(first, MOST_LAYERS))),
        "scale": values.real("routed_scaling_factor", 1.0),
    }
    return mixture(values, "moe_intermediate_size", **switches)


def groups(values: Values) -> dict[str, Any]:
    return {"groups": values.whole("n_group"), "kept_groups": values.whole("topk_group")}


def deepseek_v2(values: Values) -> dict[str, Any]:
    method = values.raw("topk_method", "greedy")
    if method not in ("greedy", "group_limited_greedy"):
        values.unsupported(f"routing {brief(method)}", "greedy and group_limited_greedy")
    grouped = groups(values) if method == "group_limited_greedy" else {}
    return latent(values) | fine_grained(values, normalise=False, **grouped)


def deepseek_v3(values: Values) -> dict[str, Any]:
    """Sigmoid scores; a bias for the choice alone; a group is worth its two best experts."""
    score = values.raw("scoring_func", "sigmoid")
    if score != "sigmoid":
        values.unsupported(f"scores by {brief(score)}", "them by sigmoid")
    router = {"gate": "sigmoid", "selection_bias": True, "group_best": 2, **groups(values)}
    experts = fine_grained(values, normalise=values.flag("norm_topk_prob", True), **router)
    return latent(values, interleaved=values.flag("rope_interleave", True)) | experts


def phi(values: Values) -> dict[str, Any]:
    return {"norm_eps": values.real("layer_norm_eps", 1e-5), "head_norm": values.flag("qk_layernorm")}


PHI3_SPLIT = (
    Split(
        "self_attn.qkv_proj",
        ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        lambda c: (c.heads * c.head_dim, c.kv_heads * c.head_dim, c.kv_heads * c.head_dim),
    ),
    Split(
        "mlp.gate_up_proj",
        ("mlp.gate_proj", "mlp.up_proj"),
        lambda c: (c.hidden_dim, c.hidden_dim),
    ),
)
GEMMA = {"norm": "rms+1", "network": "geglu", "scale_embedding": True, "tie_embeddings": True}
GEMMA2 = GEMMA | {"head_dim": 256, "layout": "sandwich"}
SANDWICH = (
    ("blocks.{n}.attention_post_norm", "model.layers.{n}.post_attention_layernorm"),
    ("blocks.{n}.mlp_norm", "model.layers.{n}.pre_feedforward_layernorm"),
    ("blocks.{n}.mlp_post_norm", "model.layers.{n}.post_feedforward_layernorm"),
)
SHARED = tuple(
    (f"blocks.{{n}}.mlp.shared.{ours}", f"model.layers.{{n}}.mlp.shared_expert.{ours}_proj")
    for ours in ("gate", "up", "down")
)
LATENT = (
    ("blocks.{n}.attention.query_down", "model.layers.{n}.self_attn.q_a_proj"),
    ("blocks.{n}.attention.query_norm", "model.layers.{n}.self_attn.q_a_layernorm"),
    ("blocks.{n}.attention.query_up", "model.layers.{n}.self_attn.q_b_proj"),
    ("blocks.{n}.attention.down", "model.layers.{n}.self_attn.kv_a_proj_with_mqa"),
    ("blocks.{n}.attention.norm", "model.layers.{n}.self_attn.kv_a_layernorm"),
    ("blocks.{n}.attention.up", "model.layers.{n}.self_attn.kv_b_proj"),
)
DEEPSEEK = (*EXPERTS, *((ours, theirs.replace("expert.", "experts.")) for ours, theirs in SHARED), *LATENT)
DEEPSEEK_V3 = Family(
    rows=(*DEEPSEEK, ("blocks.{n}.mlp.router.bias", "model.layers.{n}.mlp.gate.e_score_correction_bias")),
    read=deepseek_v3,
    ahead="num_nextn_predict_layers",
)
FAMILIES: dict[str, Family] = {
    "llama": Family(read=biases),
    "mistral": Family(read=windows),
    "qwen2": Family(read=lambda v: qwen(v, qkv_bias=True)),
    "qwen3": Family(switches={"head_norm": True, "head_dim": 128}, read=lambda v: qwen(v, **biases(v))),
    "gemma": Family(switches=GEMMA | {"head_dim": 256}, read=biases, activations=GATED | {"gelu": "geglu"}),
    "gemma2": Family(rows=SANDWICH, switches=GEMMA2, read=gemma2),
    "gemma3_text": Family(rows=SANDWICH, switches=GEMMA2 | {"head_norm": True}, read=gemma3, theta=1e6),
    "phi": Family(
        rows=(
            ("blocks.{n}.attention.out", "model.layers.{n}.self_attn.dense"),
            ("blocks.{n}.attention.query_norm", "model.layers.{n}.self_attn.q_layernorm"),
            ("blocks.{n}.attention.key_norm", "model.layers.{n}.self_attn.k_layernorm"),
            ("blocks.{n}.mlp.up", "model.layers.{n}.mlp.fc1"),
            ("blocks.{n}.mlp.down", "model.layers.{n}.mlp.fc2"),
            ("norm", "model.final_layernorm"),
        ),
        switches={
            "norm": "layer",
            "layout": "parallel",
            **dict.fromkeys(("qkv_bias", "out_bias", "mlp_bias", "head_bias"), True),
        },
        read=phi,
        activations=PLAIN,
        turning=0.5,
    ),
    "phi3": Family(read=windows, split=PHI3_SPLIT),
    "mixtral": Family(
        rows=(
            ("blocks.{n}.mlp.router", "model.layers.{n}.block_sparse_moe.gate"),
            ("blocks.{n}.mlp.experts.gate", "model.layers.{n}.block_sparse_moe.experts.w1.weight"),
            ("blocks.{n}.mlp.experts.up", "model.layers.{n}.block_sparse_moe.experts.w3.weight"),
            ("blocks.{n}.mlp.experts.down", "model.layers.{n}.block_sparse_moe.experts.w2.weight"),
        ),
        read=lambda v: windows(v) | mixture(v, "intermediate_size"),
    ),
    "olmoe": Family(rows=EXPERTS, switches={"width_norm": True}, read=olmoe),
    "qwen2_moe": Family(
        rows=(*EXPERTS, *SHARED, ("blocks.{n}.mlp.shared_gate", "model.layers.{n}.mlp.shared_expert_gate")),
        read=qwen2_moe,
    ),
    "qwen3_moe": Family(
        rows=EXPERTS, switches={"head_norm": True}, read=lambda v: qwen_mixture(v) | biases(v)
    ),
    "deepseek_v2": Family(rows=DEEPSEEK, read=deepseek_v2),
    "deepseek_v3": DEEPSEEK_V3,
}


def family_of(config: Mapping[str, Any]) -> Family:
    """Raises ModelFileError for an architecture that no row is about."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise_faults(
            [f"it has architecture {brief(kind)}; this decoder computes one of {', '.join(FAMILIES)}"]
        )
    return FAMILIES[str(kind)]


def read_config(config: Mapping[str, Any]) -> ModelConfig:
    """The ModelConfig of a `config.json`. Raises ModelFileError with all faults at once."""
    family, values = family_of(config), Values(config)
    dim, heads = values.whole("hidden_size"), values.whole("num_attention_heads")
    usual = values.raw("hidden_act", next(iter(family.activations)))
    activation = values.raw("hidden_activation", usual)
    network = family.activations.get(activation) if isinstance(activation, str) else None
    if network is None:
        values.unsupported(f"activation {brief(activation)}", ", ".join(family.activations))
    rope = rope_of(values)
    scaling, context = scaling_of(values, rope)
    head_dim = values.whole("head_dim", family.switches.get("head_dim", share(dim, heads)))
    if family.ahead:
        values.whole(family.ahead, 0, least=0)
    part = rope.real("partial_rotary_factor", values.real("partial_rotary_factor", family.turning))
    numbers = {
        "vocab_size": values.whole("vocab_size"),
        "dim": dim,
        "layers": values.whole("num_hidden_layers"),
        "heads": heads,
        "kv_heads": values.whole("num_key_value_heads", heads),
        "hidden_dim": values.whole("intermediate_size"),
        "norm_eps": values.real("rms_norm_eps", 1e-6),
        "rope_theta": rope.real("rope_theta", values.real("rope_theta", family.theta)),
        "rope_scaling": scaling,
        "network": network or "swiglu",
        **family.switches,
        "head_dim": head_dim,
        "rotary_dim": None if part in (1, None) or head_dim is None else int(head_dim * part),
        "context": context,
        **family.read(values),
    }
    tied = values.flag("tie_word_embeddings", family.switches.get("tie_embeddings", False))
    return assemble(values, **numbers | {"tie_embeddings": tied})
