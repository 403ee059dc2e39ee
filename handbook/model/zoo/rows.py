"""One model in numbers: everything that `handbook.model.count` says about a configuration, in one frozen row.

Loads no torch.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from handbook.model import count
from handbook.model.config import ModelConfig
from handbook.model.zoo.entries import entries

CONTEXT = 2048  # tokens that every model of the zoo reaches
LONGEST = 1 << 24
SHORT, LONG = 8192, 32768  # tokens of the two fixed cache columns

Attention = Literal["MHA", "GQA", "MQA", "MLA"]


@dataclass(frozen=True, slots=True)
class Row:
    """Sizes in bytes, FLOPs for one token, everything else counted. None: the model does not reach so far,
    or has no such part.

    cache_per_token: what one more token adds, at 16 bits, while no window is full; cache_beyond: when all
    are. cache_at: for `at` tokens. rotary_dim: channels of a head that turn. window: the widest, and how many
    layers have one; local_theta: RoPE's base in those, where it differs. expert_dim: hidden width of one
    expert; shared_dim: of all that every token passes. prefill_flops: of a prompt of `at` tokens;
    decode_flops: after `at` tokens. tied: embedding and head are one matrix, and count once.
    """

    name: str
    title: str
    family: str
    parameters: int
    active_parameters: int
    embedding_parameters: int
    layers: int
    dim: int
    hidden_dim: int
    heads: int
    kv_heads: int
    head_dim: int
    attention: Attention
    latent_rank: int | None
    window: int | None
    windowed_layers: int
    cache_per_token: int
    cache_beyond: int
    at: int
    cache_at: int | None
    cache_8k: int | None
    cache_32k: int | None
    cache_full: int
    weights_16: int
    weights_8: int
    weights_4: int
    prefill_flops: float | None
    decode_flops: int | None
    rope_theta: float
    local_theta: float | None
    rotary_dim: int
    context: int
    trained_context: int
    context_method: str | None
    context_factor: float | None
    vocabulary: int
    experts: int | None
    active_experts: int | None
    expert_dim: int | None
    shared_dim: int | None
    dense_layers: int
    norm: str
    network: str
    layout: str
    tied: bool
    biases: tuple[str, ...]
    head_norms: str | None
    softcaps: tuple[float | None, float | None]


def attention_kind(config: ModelConfig) -> Attention:
    """Every head its own keys and values, groups of heads that share them, all one pair, or latents."""
    if config.latent is not None:
        return "MLA"
    if config.kv_heads == config.heads:
        return "MHA"
    return "MQA" if config.kv_heads == 1 else "GQA"


def row(config: ModelConfig, name: str, title: str, family: str, at: int = CONTEXT) -> Row:
    """The numbers of `config`; FLOPs and one of the caches for `at` tokens."""
    c, scaling, mixture = config, config.rope_scaling, config.mixture
    windows = [width for layer in range(c.layers) if (width := c.window(layer))]

    def cache(tokens: int) -> int | None:
        return count.kv_bytes(c, tokens) if tokens <= c.context else None

    widest = max(windows, default=0)
    beyond = count.kv_bytes(c, widest + 1) - count.kv_bytes(c, widest)
    turning = c.latent.rope_dim if c.latent else c.head_dim if c.rotary_dim is None else c.rotary_dim
    trained = scaling.original_context if scaling and scaling.original_context else c.context
    biases = {"qkv": c.qkv_bias, "attention output": c.out_bias, "network": c.mlp_bias, "head": c.head_bias}
    return Row(
        name=name,
        title=title,
        family=family,
        parameters=count.parameters(c),
        active_parameters=count.active_parameters(c),
        embedding_parameters=c.vocab_size * c.dim,
        layers=c.layers,
        dim=c.dim,
        hidden_dim=c.hidden_dim,
        heads=c.heads,
        kv_heads=c.kv_heads,
        head_dim=c.head_dim,
        attention=attention_kind(c),
        latent_rank=c.latent.rank if c.latent else None,
        window=widest or None,
        windowed_layers=len(windows),
        cache_per_token=count.kv_bytes(c, 1),
        cache_beyond=beyond,
        at=at,
        cache_at=cache(at),
        cache_8k=cache(SHORT),
        cache_32k=cache(LONG),
        cache_full=count.kv_bytes(c, c.context),
        weights_16=count.weight_bytes(c, 16),
        weights_8=count.weight_bytes(c, 8),
        weights_4=count.weight_bytes(c, 4),
        prefill_flops=count.prefill_flops(c, at) if at <= c.context else None,
        decode_flops=count.decode_flops(c, at) if at <= c.context else None,
        rope_theta=c.rope_theta,
        local_theta=c.local_theta,
        rotary_dim=turning,
        context=c.context,
        trained_context=trained,
        context_method=scaling.kind if scaling else None,
        context_factor=scaling.factor if scaling else None,
        vocabulary=c.vocab_size,
        experts=mixture.experts if mixture else None,
        active_experts=mixture.k if mixture else None,
        expert_dim=mixture.hidden_dim if mixture else None,
        shared_dim=mixture.shared_hidden_dim if mixture else None,
        dense_layers=sum(c.mixture_in(layer) is None for layer in range(c.layers)),
        norm=c.norm,
        network=c.network,
        layout=c.layout,
        tied=c.tie_embeddings,
        biases=tuple(where for where, there in biases.items() if there),
        head_norms="each head" if c.head_norm else "all heads together" if c.width_norm else None,
        softcaps=(c.attention_softcap, c.logit_softcap),
    )


def config_of(name: str) -> ModelConfig:
    """The ModelConfig of a model of the zoo. Raises KeyError."""
    return ModelConfig.from_hf(entries()[name].config)


@lru_cache(maxsize=256)
def row_of(name: str, at: int = CONTEXT) -> Row:
    """A model of the zoo. Raises KeyError."""
    entry = entries()[name]
    return row(config_of(name), name, entry.title, str(entry.config["model_type"]), at)


def rows(at: int = CONTEXT) -> list[Row]:
    """The whole zoo, in the order of its index."""
    return [row_of(name, at) for name in entries()]
