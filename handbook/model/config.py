"""What a decoder of the Llama family is made of, in numbers, and how the two file formats say it.

Book: architectures/transformer-deep-dive
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handbook.errors import ModelFileError
from handbook.model.extension import RopeScaling

FAMILY = ("llama", "mistral", "qwen2", "qwen3")
MOST = 1 << 24  # no number in a configuration is larger; keeps a damaged file from asking for all memory


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The numbers of a decoder. Raises ModelFileError that names every value that cannot be.

    context is counted in tokens. The switches are biases on query, key and value, on the attention's output
    and in the network, and normalised heads (Qwen3).
    """

    vocab_size: int
    dim: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden_dim: int
    context: int
    norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    rope_scaling: RopeScaling | None = None
    tie_embeddings: bool = False
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    head_norm: bool = False

    def __post_init__(self) -> None:
        sizes = ("vocab_size", "dim", "layers", "heads", "kv_heads", "head_dim", "hidden_dim", "context")
        faults = [f"{name} is {getattr(self, name)}" for name in sizes if not 0 < getattr(self, name) <= MOST]
        if not faults and self.heads % self.kv_heads:
            faults.append(f"heads ({self.heads}) is not a multiple of kv_heads ({self.kv_heads})")
        if not faults and self.head_dim % 2:
            faults.append(f"head_dim ({self.head_dim}) is odd, and rotation needs pairs")
        if not (self.norm_eps > 0 and self.rope_theta > 1):
            faults.append(f"norm_eps is {self.norm_eps} and rope_theta {self.rope_theta}")
        if faults:
            raise ModelFileError(
                f"The model's configuration cannot be: {'; '.join(faults)}.", "Fetch the model again."
            )

    @property
    def group(self) -> int:
        """Query heads that share one key and value head."""
        return self.heads // self.kv_heads

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> "ModelConfig":
        """From the `config.json` of a checkpoint on the hub.

        Raises ModelFileError for an architecture or a switch that this decoder doesn't have.
        """
        kind = config.get("model_type")
        check_family(kind)
        if config.get("hidden_act", "silu") != "silu":
            raise _unsupported(f"activation {config['hidden_act']!r}", "silu")
        dim, heads = _number(config, "hidden_size"), _number(config, "num_attention_heads")
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        bias = bool(config.get("attention_bias", False))
        context = _number(config, "max_position_embeddings")
        return cls(
            vocab_size=_number(config, "vocab_size"),
            dim=dim,
            layers=_number(config, "num_hidden_layers"),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_dim=int(config.get("head_dim") or (128 if kind == "qwen3" else dim // max(heads, 1))),
            hidden_dim=_number(config, "intermediate_size"),
            context=min(context, _window(config) or context),
            norm_eps=float(config.get("rms_norm_eps", 1e-6)),
            rope_theta=float(rope.get("rope_theta") or config.get("rope_theta", 10000.0)),
            rope_scaling=_scaling(rope, context),
            tie_embeddings=bool(config.get("tie_word_embeddings", False)),
            qkv_bias=kind == "qwen2" or bias,
            out_bias=kind != "qwen2" and bias,
            mlp_bias=bool(config.get("mlp_bias", False)),
            head_norm=kind == "qwen3",
        )

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any], tensors: Mapping[str, Any]) -> "ModelConfig":
        """From the metadata of a GGUF file; which tensors there are says what is tied and has biases."""
        kind = metadata.get("general.architecture")
        check_family(kind)

        def value(key: str) -> Any:
            return _number(metadata, f"{kind}.{key}")

        dim, heads = value("embedding_length"), value("attention.head_count")
        if f"{kind}.attention.sliding_window" in metadata:
            raise _unsupported("sliding-window attention in GGUF", "full attention")
        vocab = metadata.get("tokenizer.ggml.tokens")
        return cls(
            vocab_size=len(vocab) if vocab is not None else value("vocab_size"),
            dim=dim,
            layers=value("block_count"),
            heads=heads,
            kv_heads=metadata.get(f"{kind}.attention.head_count_kv", heads),
            head_dim=metadata.get(f"{kind}.attention.key_length", dim // max(heads, 1)),
            hidden_dim=value("feed_forward_length"),
            context=value("context_length"),
            norm_eps=value("attention.layer_norm_rms_epsilon"),
            rope_theta=metadata.get(f"{kind}.rope.freq_base", 10000.0),
            rope_scaling=_gguf_scaling(metadata, f"{kind}.rope.scaling.", tensors),
            tie_embeddings="output.weight" not in tensors,
            qkv_bias="blk.0.attn_q.bias" in tensors,
            out_bias="blk.0.attn_output.bias" in tensors,
            mlp_bias="blk.0.ffn_up.bias" in tensors,
            head_norm="blk.0.attn_q_norm.weight" in tensors,
        )


def check_family(kind: object) -> None:
    """Raises ModelFileError unless `kind` names an architecture that this decoder computes."""
    if kind not in FAMILY:
        raise _unsupported(f"architecture {kind!r}", f"one of {', '.join(FAMILY)}")


def _unsupported(got: str, known: str) -> ModelFileError:
    return ModelFileError(
        f"The model has {got}; this decoder computes {known}.",
        "Choose another model, or serve this one elsewhere and set chat_url.",
    )


def _number(values: Mapping[str, Any], key: str) -> Any:
    got = values.get(key)
    if not isinstance(got, int | float) or isinstance(got, bool):
        raise ModelFileError(
            f"The model's configuration should give {key} as a number, got {got!r}.", "Fetch the model again."
        )
    return got


def _window(config: Mapping[str, Any]) -> int | None:
    """The sliding window of a checkpoint that uses one. Up to that many tokens attention is full, so it
    becomes the context."""
    used = config.get("use_sliding_window", config.get("model_type") == "mistral")
    return config.get("sliding_window") if used else None


def _scaling(rope: Mapping[str, Any], context: int) -> RopeScaling | None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if rope.get("partial_rotary_factor", 1.0) != 1.0 or rope.get("mscale"):
        raise _unsupported("partial rotation or mscale in RoPE", "RoPE over the whole head")
    original = int(rope.get("original_max_position_embeddings") or context)
    match kind:
        case "default":
            return None
        case "linear":
            return RopeScaling("linear", _number(rope, "factor"))
        case "llama3":
            low, high = _number(rope, "low_freq_factor"), _number(rope, "high_freq_factor")
            return RopeScaling("llama3", _number(rope, "factor"), original, low, high)
        case "yarn":
            low, high = rope.get("beta_slow") or 1.0, rope.get("beta_fast") or 32.0
            return RopeScaling(
                "yarn", _number(rope, "factor"), original, low, high, rope.get("attention_factor")
            )
    raise _unsupported(f"RoPE scaling {kind!r}", "default, linear, llama3 and yarn")


def _gguf_scaling(metadata: Mapping[str, Any], prefix: str, tensors: Mapping[str, Any]) -> RopeScaling | None:
    kind = metadata.get(f"{prefix}type", "none")
    if "rope_freqs.weight" in tensors or kind not in ("none", "linear"):
        raise _unsupported(f"RoPE scaling {kind!r} or stored frequencies in GGUF", "none and linear there")
    return RopeScaling("linear", _number(metadata, f"{prefix}factor")) if kind == "linear" else None
