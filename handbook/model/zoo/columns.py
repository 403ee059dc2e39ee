"""What a table of models shows: each column with its words, its value and how the value is printed.

One list for the page, the command line and the comparison.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from handbook.model.zoo.rows import LONG, SHORT, Row
from handbook.model.zoo.shown import NOTHING, billions, flops, grouped, memory, tokens

Value = float | str | None


@dataclass(frozen=True, slots=True)
class Column:
    """title: head of the column. says: the whole thing in words, `{at}` standing for the tokens asked for.
    value: what it sorts by. shown: the value as read; its own text when not given."""

    key: str
    title: str
    says: str
    value: Callable[[Row], Value]
    shown: Callable[[Row], str]
    number: bool = True

    def text(self, row: Row) -> str:
        return self.shown(row) or NOTHING


def number(
    key: str,
    title: str,
    says: str,
    value: Callable[[Row], float | None],
    show: Callable[[float], str] = grouped,
) -> Column:
    def shown(row: Row) -> str:
        found = value(row)
        return "" if found is None else show(found)

    return Column(key, title, says, value, shown)


def words(key: str, title: str, says: str, value: Callable[[Row], str]) -> Column:
    return Column(key, title, says, value, value, number=False)


def heads(row: Row) -> str:
    if row.attention == "MLA":
        return f"{row.heads} of {row.head_dim}, latent {row.latent_rank}"
    return f"{row.heads}/{row.kv_heads} of {row.head_dim}"


def window(row: Row) -> str:
    if not row.window:
        return ""
    where = (
        "all layers" if row.windowed_layers == row.layers else f"{row.windowed_layers} of {row.layers} layers"
    )
    return f"{grouped(row.window)} in {where}"


def experts(row: Row) -> str:
    if not row.experts:
        return ""
    shared = f" + {row.shared_dim / row.expert_dim:g} shared" if row.shared_dim and row.expert_dim else ""
    return f"{row.active_experts} of {row.experts}{shared}"


def base(row: Row) -> str:
    local = f", {grouped(row.local_theta)} in windows" if row.local_theta else ""
    return grouped(row.rope_theta) + local


def method(row: Row) -> str:
    if row.context_method is None:
        return ""
    return f"{row.context_method}, {row.context_factor:g} times {tokens(row.trained_context)}"


NORMS = {"rms": "RMSNorm", "rms+1": "RMSNorm (1 + w)", "layer": "LayerNorm"}
NETWORKS = {"swiglu": "SwiGLU", "geglu": "GEGLU", "gelu": "GELU", "gelu-tanh": "GELU (tanh)"}
LAYOUTS = {
    "pre": "pre-norm",
    "sandwich": "sandwich",
    "parallel": "parallel",
}


def softcaps(row: Row) -> str:
    places = zip(("scores", "logits"), row.softcaps, strict=True)
    return ", ".join(f"{where} {cap:g}" for where, cap in places if cap)


COLUMNS = {
    column.key: column
    for column in (
        number(
            "total", "Total", "All weights; a tied embedding counts once.", lambda r: r.parameters, billions
        ),
        number(
            "active",
            "Active",
            "Weights that one token meets: all but the experts that it does not pass.",
            lambda r: r.active_parameters,
            billions,
        ),
        number("layers", "Layers", "Blocks, one after the other.", lambda r: r.layers),
        number("width", "Width", "Channels of the residual stream.", lambda r: r.dim),
        number(
            "network-width",
            "Network",
            "Hidden width of a layer without experts.",
            lambda r: r.hidden_dim if r.dense_layers else None,
        ),
        Column(
            "heads",
            "Heads",
            "Query heads / key and value heads, of so many channels each.",
            lambda r: r.heads,
            heads,
            number=False,
        ),
        words(
            "attention",
            "Attention",
            "Keys and values: every head's own (MHA), a group's (GQA), one for all (MQA), of latents (MLA).",
            lambda r: r.attention,
        ),
        Column(
            "window",
            "Window",
            "Positions that a layer sees, where not all, and in how many layers.",
            lambda r: r.window or None,
            window,
            number=False,
        ),
        number(
            "cache",
            "Cache a token",
            "Bytes of keys and values, or latents, that one token leaves behind at 16 bits.",
            lambda r: r.cache_per_token,
            memory,
        ),
        number(
            "cache-8k",
            f"Cache at {tokens(SHORT)}",
            "The cache of one sequence of 8,192 tokens.",
            lambda r: r.cache_8k,
            memory,
        ),
        number(
            "cache-32k",
            f"Cache at {tokens(LONG)}",
            "The cache of one sequence of 32,768 tokens.",
            lambda r: r.cache_32k,
            memory,
        ),
        number(
            "cache-full",
            "Cache, full context",
            "The cache of one sequence as long as the context.",
            lambda r: r.cache_full,
            memory,
        ),
        number(
            "weights-16",
            "Weights, 16 bits",
            "Bytes of all weights at 16 bits.",
            lambda r: r.weights_16,
            memory,
        ),
        number(
            "weights-8",
            "Weights, 8 bits",
            "Bytes of all weights at 8 bits, without scales.",
            lambda r: r.weights_8,
            memory,
        ),
        number(
            "weights-4",
            "Weights, 4 bits",
            "Bytes of all weights at 4 bits, without scales.",
            lambda r: r.weights_4,
            memory,
        ),
        number(
            "prefill",
            "Prefill",
            "FLOPs for a token of a prompt of {at} tokens, masked scores included.",
            lambda r: r.prefill_flops,
            flops,
        ),
        number(
            "decode",
            "Decode",
            "FLOPs for one new token after {at} cached ones.",
            lambda r: r.decode_flops,
            flops,
        ),
        Column(
            "experts",
            "Experts",
            "Routed experts that a token passes, of how many; and the width of the shared ones, in experts.",
            lambda r: r.experts,
            experts,
            number=False,
        ),
        number("expert-width", "Expert width", "Hidden width of one expert.", lambda r: r.expert_dim),
        number("dense", "Dense layers", "Layers without experts.", lambda r: r.dense_layers),
        number("context", "Context", "Tokens that the configuration admits.", lambda r: r.context, tokens),
        words(
            "method",
            "Extended by",
            "How RoPE was changed to reach beyond the trained context.",
            method,
        ),
        Column(
            "base",
            "RoPE base",
            "The base of the rotation's frequencies; another in layers with a window, where there is one.",
            lambda r: r.rope_theta,
            base,
        ),
        Column(
            "rotary",
            "Turning",
            "Channels of a head that turn, of how many.",
            lambda r: r.rotary_dim / r.head_dim,
            lambda r: f"{r.rotary_dim} of {r.head_dim}",
            number=False,
        ),
        number("vocabulary", "Vocabulary", "Rows of the embedding.", lambda r: r.vocabulary),
        words(
            "tied",
            "Embeddings",
            "Whether embedding and head are one matrix.",
            lambda r: "tied" if r.tied else "apart",
        ),
        words("norm", "Norm", "Which normalisation.", lambda r: NORMS.get(r.norm, r.norm)),
        words(
            "activation",
            "Activation",
            "What the network does between its matrices.",
            lambda r: NETWORKS.get(r.network, r.network),
        ),
        words(
            "layout",
            "Block",
            "Norm before attention and network (pre-norm), after too (sandwich), or one for both (parallel).",
            lambda r: LAYOUTS.get(r.layout, r.layout),
        ),
        words("biases", "Biases", "Products that add a bias.", lambda r: ", ".join(r.biases)),
        words(
            "head-norms",
            "Query and key norms",
            "Whether queries and keys are normalised.",
            lambda r: r.head_norms or "",
        ),
        words("softcaps", "Soft caps", "Bounds of attention scores and of logits.", softcaps),
    )
}

VIEWS = {
    "overview": ("total", "active", "attention", "cache", "cache-32k", "context"),
    "shape": ("layers", "width", "heads", "network-width", "experts", "expert-width", "vocabulary"),
    "memory": ("cache", "cache-8k", "cache-32k", "cache-full", "weights-16", "weights-8", "weights-4"),
    "work": ("total", "active", "experts", "prefill", "decode"),
    "positions": ("context", "method", "base", "rotary", "window"),
    "making": ("norm", "activation", "layout", "tied", "biases", "head-norms", "softcaps"),
}


def sort(rows: Sequence[Row], key: str) -> list[Row]:
    """By a column, small first; `-key` large first. What a model lacks comes last either way. Raises
    KeyError."""
    column = COLUMNS[key.removeprefix("-")]
    there = [row for row in rows if column.value(row) not in (None, "")]
    there.sort(key=lambda row: column.value(row), reverse=key.startswith("-"))  # type: ignore[arg-type,return-value]
    return [*there, *(row for row in rows if column.value(row) in (None, ""))]
