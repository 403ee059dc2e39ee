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
    and in the network, and normalised heads (Qwen3). windows: how many positions each layer's queries see,
    themselves included, 0 for all; empty means all in every layer. attention_scale: 1 / sqrt(head_dim) when
    not given. rotary_dim: channels of a head that turn; all when not given. attention_softcap, logit_softcap:
    bounds of scores and logits (Gemma 2).
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
    rotary_dim: int | None = None
    windows: tuple[int, ...] = ()
    attention_scale: float | None = None
    attention_softcap: float | None = None
    logit_softcap: float | None = None

    def __post_init__(self) -> None:
        sizes = ("vocab_size", "dim", "layers", "heads", "kv_heads", "head_dim", "hidden_dim", "context")
        faults = [f"{name} is {getattr(self, name)}" for name in sizes if not 0 < getattr(self, name) <= MOST]
        if not faults and self.heads % self.kv_heads:
            faults.append(f"heads ({self.heads}) is not a multiple of kv_heads ({self.kv_heads})")
        turning = self.head_dim if self.rotary_dim is None else self.rotary_dim
        if not faults and (turning % 2 or not 0 < turning <= self.head_dim):
            faults.append(
                f"{turning} channels of {self.head_dim} cannot turn in pairs: the number is odd or not in it"
            )
        if not (self.norm_eps > 0 and self.rope_theta > 1):
            faults.append(f"norm_eps is {self.norm_eps} and rope_theta {self.rope_theta}")
        if self.windows and (len(self.windows) != self.layers or min(self.windows) < 0):
            faults.append(f"windows should be one for each of {self.layers} layers, got {self.windows}")
        if faults:
            raise ModelFileError(
                f"The model's configuration cannot be: {'; '.join(faults)}.", "Fetch the model again."
            )

    @property
    def group(self) -> int:
        """Query heads that share one key and value head."""
        return self.heads // self.kv_heads

    def window(self, layer: int) -> int:
        """Positions that queries of `layer` see, themselves included; 0 for all."""
        return self.windows[layer] if self.windows else 0

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> "ModelConfig":
        """From the `config.json` of a checkpoint on the hub.

        Raises ModelFileError for an architecture or a switch that this decoder doesn't have.
        """
        kind = config.get("model_type")
        check_family(kind)
        if config.get("hidden_act", "silu") != "silu":
            raise _unsupported(f"activation {config['hidden_act']!r}", "silu")
        dim, heads = _whole(config, "hidden_size"), _whole(config, "num_attention_heads")
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        if not isinstance(rope, Mapping):
            raise _not_a_number("rope_parameters", rope)
        bias = bool(config.get("attention_bias", False))
        context = _whole(config, "max_position_embeddings")
        head_dim = _whole(config, "head_dim", 128 if kind == "qwen3" else dim // max(heads, 1))
        scaling = _scaling(rope, context)
        share = _real(rope, "partial_rotary_factor", _real(config, "partial_rotary_factor", 1.0))
        return cls(
            vocab_size=_whole(config, "vocab_size"),
            dim=dim,
            layers=_whole(config, "num_hidden_layers"),
            heads=heads,
            kv_heads=_whole(config, "num_key_value_heads", heads),
            head_dim=head_dim,
            rotary_dim=None if share == 1 else int(head_dim * share),
            hidden_dim=_whole(config, "intermediate_size"),
            context=int(context * scaling.factor) if scaling and scaling.kind == "dynamic" else context,
            windows=_windows(config),
            norm_eps=_real(config, "rms_norm_eps", 1e-6),
            rope_theta=_real(rope, "rope_theta", _real(config, "rope_theta", 10000.0)),
            rope_scaling=scaling,
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

        def whole(key: str, default: int | None = None) -> int:
            return _whole(metadata, f"{kind}.{key}", default)

        dim, heads = whole("embedding_length"), whole("attention.head_count")
        if f"{kind}.attention.sliding_window" in metadata:
            raise _unsupported("sliding-window attention in GGUF", "full attention")
        vocab = metadata.get("tokenizer.ggml.tokens")
        return cls(
            vocab_size=len(vocab) if isinstance(vocab, list) else whole("vocab_size"),
            dim=dim,
            layers=whole("block_count"),
            heads=heads,
            kv_heads=whole("attention.head_count_kv", heads),
            head_dim=whole("attention.key_length", dim // max(heads, 1)),
            hidden_dim=whole("feed_forward_length"),
            context=whole("context_length"),
            norm_eps=_real(metadata, f"{kind}.attention.layer_norm_rms_epsilon"),
            rope_theta=_real(metadata, f"{kind}.rope.freq_base", 10000.0),
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


def _not_a_number(key: str, got: object) -> ModelFileError:
    return ModelFileError(
        f"The model's configuration should give {key} as a number, got {got!r}.", "Fetch the model again."
    )


def _whole(values: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """An integer; what is missing or null takes the default, where there is one."""
    got = default if values.get(key) is None else values[key]
    if not isinstance(got, int) or isinstance(got, bool):
        raise _not_a_number(key, got)
    return got


def _real(values: Mapping[str, Any], key: str, default: float | None = None) -> float:
    """A number, as `_whole`."""
    got = default if values.get(key) is None else values[key]
    if not isinstance(got, int | float) or isinstance(got, bool):
        raise _not_a_number(key, got)
    return float(got)


def _windows(config: Mapping[str, Any]) -> tuple[int, ...]:
    """The sliding window of each layer, where there is one. Mistral has it in every layer, the others where
    `layer_types` says so."""
    used = config.get("use_sliding_window", config.get("model_type") == "mistral")
    window = _whole(config, "sliding_window", 0) if used else 0
    if not window:
        return ()
    layers = _whole(config, "num_hidden_layers")
    kinds = config.get("layer_types")
    if kinds is None and "max_window_layers" in config:
        first = _whole(config, "max_window_layers")
        return tuple(window if layer >= first else 0 for layer in range(layers))
    if not isinstance(kinds, list):
        return (window,) * min(layers, MOST)
    return tuple(window if kind == "sliding_attention" else 0 for kind in kinds)


def _scaling(rope: Mapping[str, Any], context: int) -> RopeScaling | None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if rope.get("mscale"):
        raise _unsupported("mscale in RoPE", "RoPE without it")
    original = _whole(rope, "original_max_position_embeddings", context)
    match kind:
        case "default":
            return None
        case "linear":
            return RopeScaling("linear", _real(rope, "factor"))
        case "dynamic":
            return RopeScaling("dynamic", _real(rope, "factor"), context)
        case "llama3":
            low, high = _real(rope, "low_freq_factor"), _real(rope, "high_freq_factor")
            return RopeScaling("llama3", _real(rope, "factor"), original, low, high)
        case "yarn":
            low, high = _real(rope, "beta_slow", 1.0), _real(rope, "beta_fast", 32.0)
            scale = None if rope.get("attention_factor") is None else _real(rope, "attention_factor")
            return RopeScaling("yarn", _real(rope, "factor"), original, low, high, scale)
    raise _unsupported(f"RoPE scaling {kind!r}", "default, linear, dynamic, llama3 and yarn")


def _gguf_scaling(metadata: Mapping[str, Any], prefix: str, tensors: Mapping[str, Any]) -> RopeScaling | None:
    kind = metadata.get(f"{prefix}type", "none")
    if "rope_freqs.weight" in tensors or kind not in ("none", "linear"):
        raise _unsupported(f"RoPE scaling {kind!r} or stored frequencies in GGUF", "none and linear there")
    return RopeScaling("linear", _real(metadata, f"{prefix}factor")) if kind == "linear" else None
