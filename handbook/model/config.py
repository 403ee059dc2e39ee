"""What a decoder is made of, in numbers and a few switches. How files say it: `families` and `from_gguf`.

Book: architectures/transformer-deep-dive
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from handbook.model.extension import RopeScaling, ScalingKind
from handbook.model.routing import Gate, Switches, router_faults
from handbook.model.values import Values, raise_faults

MOST_LAYERS = 1 << 12
MOST = 1 << 24  # no number in a configuration is larger; keeps a damaged file from asking for all memory
GGUF_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")

Norm = Literal["rms", "rms+1", "layer"]
Network = Literal["swiglu", "geglu", "gelu", "gelu-tanh"]
Layout = Literal["pre", "sandwich", "parallel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """A mixture of experts in place of the network. hidden_dim is that of one expert, shared_hidden_dim that
    of all shared ones together; dense: layers that keep the plain network. The rest are switches of
    `handbook.model.router.Router`, see `router_switches`."""

    experts: int
    k: int
    hidden_dim: int
    shared_hidden_dim: int = 0
    shared_gate: bool = False
    dense: tuple[int, ...] = ()
    gate: Gate = "softmax"
    normalise: bool = True
    scale: float = 1.0
    selection_bias: bool = False
    groups: int = 1
    kept_groups: int = 1
    group_best: int = 1

    @property
    def router_switches(self) -> Switches:
        return {
            "gate": self.gate,
            "normalise": self.normalise,
            "scale": self.scale,
            "selection_bias": self.selection_bias,
            "groups": self.groups,
            "kept_groups": self.kept_groups,
            "group_best": self.group_best,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Latent:
    """Multi-head latent attention (`handbook.model.latent`). rank: width of what the cache keeps; query_rank:
    of what queries come from, 0 for the residual stream; rope_dim: channels of a head that turn, which keys
    share; value_dim: of a head; interleaved: pairs that turn are neighbours, else halves."""

    rank: int
    rope_dim: int
    value_dim: int
    query_rank: int = 0
    interleaved: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The numbers of a decoder. Raises ModelFileError that names every value that cannot be.

    context is counted in tokens. Biases: on query, key and value, on attention's output, in the network, on
    the head. head_norm: queries and keys normalised per head (Qwen3); width_norm: over all heads together
    (OLMoE). windows: how many positions each layer's queries see, themselves included, 0 for all; empty means
    all in every layer. attention_scale: 1 / sqrt(head_dim) when not given. rotary_dim: channels of a head
    that turn; all when not given. attention_softcap, logit_softcap: bounds of scores and logits; qkv_clip: of
    queries, keys and values (OLMo). local_theta: RoPE's base in layers with a window, which are not extended,
    where it is their own (Gemma 3). layout: what a block is, see `transformer.BLOCKS`. scale_embedding: times
    sqrt(dim) (Gemma).
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
    head_bias: bool = False
    head_norm: bool = False
    width_norm: bool = False
    rotary_dim: int | None = None
    windows: tuple[int, ...] = ()
    attention_scale: float | None = None
    attention_softcap: float | None = None
    logit_softcap: float | None = None
    qkv_clip: float | None = None
    local_theta: float | None = None
    scale_embedding: bool = False
    norm: Norm = "rms"
    network: Network = "swiglu"
    layout: Layout = "pre"
    mixture: Mixture | None = None
    latent: Latent | None = None

    def __post_init__(self) -> None:
        raise_faults(faults({field.name: getattr(self, field.name) for field in fields(self)}))

    @property
    def group(self) -> int:
        """Query heads that share one key and value head."""
        return self.heads // self.kv_heads

    def window(self, layer: int) -> int:
        """Positions that queries of `layer` see, themselves included; 0 for all."""
        return self.windows[layer] if self.windows else 0

    def mixture_in(self, layer: int) -> Mixture | None:
        """The mixture of experts of `layer`, None where it has the plain network."""
        return None if self.mixture is None or layer in self.mixture.dense else self.mixture

    @classmethod
    def from_hf(cls, config: Mapping[str, Any]) -> "ModelConfig":
        """From the `config.json` of a checkpoint on the hub.

        Raises ModelFileError that lists all that this decoder can't compute.
        """
        from handbook.model.families import read_config

        return read_config(config)

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any], tensors: Mapping[str, Any]) -> "ModelConfig":
        """From the metadata of a GGUF file; which tensors there are says what is tied and has biases."""
        kind = metadata.get("general.architecture")
        if kind not in GGUF_FAMILIES:
            known = ", ".join(GGUF_FAMILIES)
            raise_faults([f"it has architecture {kind!r}; this decoder computes one of {known} from GGUF"])
        values = Values(metadata, prefix=f"{kind}.")
        if values.raw("attention.sliding_window") is not None:
            values.unsupported("sliding-window attention in GGUF", "full attention")
        dim, heads = values.whole("embedding_length"), values.whole("attention.head_count")
        vocab = metadata.get("tokenizer.ggml.tokens")
        return assemble(
            values,
            vocab_size=len(vocab) if isinstance(vocab, list) else values.whole("vocab_size"),
            dim=dim,
            layers=values.whole("block_count"),
            heads=heads,
            kv_heads=values.whole("attention.head_count_kv", heads),
            head_dim=values.whole("attention.key_length", share(dim, heads)),
            hidden_dim=values.whole("feed_forward_length"),
            context=values.whole("context_length"),
            norm_eps=values.real("attention.layer_norm_rms_epsilon"),
            rope_theta=values.real("rope.freq_base", 10000.0),
            rope_scaling=_gguf_scaling(values, tensors),
            tie_embeddings="output.weight" not in tensors,
            qkv_bias="blk.0.attn_q.bias" in tensors,
            out_bias="blk.0.attn_output.bias" in tensors,
            mlp_bias="blk.0.ffn_up.bias" in tensors,
            head_norm="blk.0.attn_q_norm.weight" in tensors,
        )


SIZES = ("vocab_size", "dim", "layers", "heads", "kv_heads", "head_dim", "hidden_dim", "context")


def faults(c: Mapping[str, Any]) -> list[str]:
    """All that is wrong with the numbers of a ModelConfig; None counts as not known and is passed over."""
    found = [f"{name} is {c[name]}" for name in SIZES if c[name] is not None and not 0 < c[name] <= MOST]

    def known(*names: str) -> bool:
        return all(c[name] is not None and c[name] > 0 for name in names)

    if known("layers") and c["layers"] > MOST_LAYERS:
        found.append(f"layers is {c['layers']}, and this decoder takes no more than {MOST_LAYERS}")
    if known("heads", "head_dim") and c["heads"] * c["head_dim"] > MOST:
        found.append(f"{c['heads']} heads of {c['head_dim']} are too wide")
    if known("heads", "kv_heads") and c["heads"] % c["kv_heads"]:
        found.append(f"heads ({c['heads']}) is not a multiple of kv_heads ({c['kv_heads']})")
    turning = c["head_dim"] if c["rotary_dim"] is None else c["rotary_dim"]
    if known("head_dim") and (turning % 2 or not 0 < turning <= c["head_dim"]):
        found.append(f"{turning} channels of {c['head_dim']} cannot turn in pairs")
    for name, low in (
        ("norm_eps", 0.0),
        ("rope_theta", 1.0),
        ("local_theta", 1.0),
        *((name, 0.0) for name in FACTORS),
    ):
        if c[name] is not None and not c[name] > low:
            found.append(f"{name} is {c[name]}")
    for name, choice in (("norm", Norm), ("network", Network), ("layout", Layout)):
        if c[name] not in get_args(choice):
            found.append(f"{name} is {c[name]!r}, not one of {', '.join(get_args(choice))}")
    if c["head_norm"] and c["width_norm"]:
        found.append("heads are normalised either each or together, not both")
    windows, layers = c["windows"], c["layers"]
    if windows and layers is not None and (len(windows) != layers or min(windows) < 0):
        found.append(
            f"windows should be one for each of {layers} layers, got {len(windows)} from {min(windows)}"
        )
    if c["rope_scaling"] is not None:
        found += _scaling_faults(c["rope_scaling"], c["context"], turning and turning // 2)
    if c["mixture"] is not None:
        found += _mixture_faults(c["mixture"])
    if c["latent"] is not None:
        sizes = {name: getattr(c["latent"], name) for name in ("rank", "rope_dim", "value_dim")}
        found += [f"latent {name} is {value}" for name, value in sizes.items() if not 0 < value <= MOST]
        if not 0 <= c["latent"].query_rank <= MOST:
            found.append(f"latent query_rank is {c['latent'].query_rank}")
        if known("heads") and c["heads"] * c["latent"].value_dim > MOST:
            found.append(f"{c['heads']} heads of values of {c['latent'].value_dim} are too wide")
        if known("head_dim") and not 0 < c["latent"].rope_dim < c["head_dim"]:
            found.append(
                f"{c['latent'].rope_dim} channels of {c['head_dim']} cannot turn beside some that don't"
            )
    return found


FACTORS = ("attention_scale", "attention_softcap", "logit_softcap", "qkv_clip")


def _scaling_faults(scaling: RopeScaling, context: int | None, pairs: int | None) -> list[str]:
    found = []
    kinds = get_args(ScalingKind)
    if scaling.kind not in kinds:
        found.append(f"RoPE scaling is {scaling.kind!r}, not one of {', '.join(kinds)}")
    if not scaling.factor >= 1:
        found.append(f"RoPE's factor is {scaling.factor}, and a context is extended by 1 or more")
    if scaling.kind != "linear" and scaling.original_context < (2 if scaling.kind == "longrope" else 1):
        found.append(f"RoPE's original context is {scaling.original_context}")
    if scaling.kind in ("yarn", "llama3") and not 0 < scaling.low < scaling.high:
        found.append(f"RoPE's bounds should rise from above 0, got {scaling.low} and {scaling.high}")
    for name in ("short", "long") if scaling.kind == "longrope" else ():
        factors = getattr(scaling, name)
        if pairs is not None and (len(factors) != pairs or not all(factor > 0 for factor in factors)):
            found.append(f"RoPE's {name} factors should be {pairs} above 0, got {len(factors)}")
    if scaling.kind == "dynamic" and pairs == 1:
        found.append("dynamic NTK keeps the fastest pair and slows others, and there is one pair")
    if scaling.attention is not None and not scaling.attention > 0:
        found.append(f"RoPE's attention factor is {scaling.attention}")
    reach = scaling.factor * scaling.original_context
    told = scaling.kind != "llama3" and scaling.original_context > 0  # Llama 3.1 goes further than its factor
    if told and context is not None and context > max(reach, 1):
        found.append(f"context is {context}, and {scaling.kind} by {scaling.factor:g} reaches {reach:g}")
    return found


def _mixture_faults(m: Mixture) -> list[str]:
    found = router_faults(m.experts, m.k, **m.router_switches)
    if not 0 < m.hidden_dim <= MOST or not 0 <= m.shared_hidden_dim <= MOST:
        found.append(f"expert widths are {m.hidden_dim} and shared {m.shared_hidden_dim}")
    elif m.experts * m.hidden_dim > MOST:
        found.append(f"{m.experts} experts of {m.hidden_dim} are too wide")
    if not m.scale > 0:
        found.append(f"experts' weights are scaled by {m.scale}")
    if m.shared_gate and not m.shared_hidden_dim:
        found.append("a shared expert's gate needs a shared expert")
    return found


def share(whole: int | None, parts: int | None) -> int | None:
    """whole // parts, where both are known."""
    return None if whole is None or not parts else whole // parts


def assemble(values: Values, **numbers: Any) -> ModelConfig:
    """A ModelConfig of what was read. Raises ModelFileError with the faults of reading and of the numbers."""
    defaults = {field.name: field.default for field in fields(ModelConfig)}
    raise_faults([*values.faults, *faults(defaults | numbers)])
    return ModelConfig(**numbers)


def _gguf_scaling(values: Values, tensors: Mapping[str, Any]) -> RopeScaling | None:
    kind = values.raw("rope.scaling.type", "none")
    if "rope_freqs.weight" in tensors or kind not in ("none", "linear"):
        values.unsupported(f"RoPE scaling {kind!r} or stored frequencies in GGUF", "none and linear there")
    if kind != "linear" or (factor := values.real("rope.scaling.factor")) is None:
        return None
    return RopeScaling("linear", factor)
