"""What a `config.json` says of positions: windows, RoPE's bases, and how the context was extended.

Files come in two generations: `rope_scaling` beside `rope_theta`, and `rope_parameters` that hold both. Where
layers differ, the second has a table for each kind of layer.
"""

from collections.abc import Callable
from typing import Any, get_args

from handbook.model.config import MOST_LAYERS
from handbook.model.extension import RopeScaling, ScalingKind, yarn_attention
from handbook.model.values import Values, brief

LAYERS = ("full_attention", "sliding_attention")


def windows(values: Values, used: bool = True, full: int | None = None) -> dict[str, Any]:
    """The sliding window of each layer: where `layer_types` says so; else in all but every `full`th layer;
    else from `max_window_layers` on, or in every layer."""
    width, layers = values.whole("sliding_window", 0) if used else 0, values.whole("num_hidden_layers")
    kinds = values.raw("layer_types")
    if kinds is not None and not (isinstance(kinds, list) and all(kind in LAYERS for kind in kinds)):
        values.unsupported(f"layers {brief(kinds)}", f"lists of {' and '.join(LAYERS)}")
    if not width or layers is None or layers > MOST_LAYERS:
        return {}
    if isinstance(kinds, list):
        return {"windows": tuple(width if kind == LAYERS[1] else 0 for kind in kinds)}
    if full:
        return {"windows": tuple(width if (layer + 1) % full else 0 for layer in range(layers))}
    first = values.whole("max_window_layers", 0, least=0) or 0
    return {"windows": tuple(width * (layer >= first) for layer in range(layers))}


def rope_of(values: Values) -> Values:
    """What is said of RoPE; of layers that see everything, where others differ. Its faults are noted in
    `values`."""
    rope = values.inner("rope_parameters", "rope_scaling")
    return rope.inner(LAYERS[0]) if any(rope.raw(kind) is not None for kind in LAYERS) else rope


def local_theta(values: Values) -> float | None:
    """RoPE's base in layers with a window, where that is their own; their context is not extended."""
    rope = values.inner("rope_parameters").inner(LAYERS[1])
    if rope.raw("rope_type", "default") != "default":
        rope.unsupported("an extended context in layers with a window", "it in the others")
    theta: float | None = rope.real("rope_theta", values.real("rope_local_base_freq", 1e4))
    return theta


def scaling_of(values: Values, rope: Values) -> tuple[RopeScaling | None, int | None]:
    """How the context was extended, and how many tokens it has now."""
    context = values.whole("max_position_embeddings")
    named = rope.raw("rope_type", rope.raw("type", "default"))
    kind: Any = "longrope" if named == "su" else named  # Phi-3's first files say su
    if kind == "default":
        return None, context
    if kind not in get_args(ScalingKind):
        rope.unsupported(f"RoPE scaling {brief(kind)}", f"default, {', '.join(get_args(ScalingKind))}")
        return None, context
    original = context
    if kind != "dynamic":  # the trained context stands in the table, or beside it
        inside = rope.whole("original_max_position_embeddings", context)
        original = values.whole("original_max_position_embeddings", inside)
    stretched = kind == "longrope" and context is not None and original
    factor = rope.real("factor", context / original) if stretched else rope.real("factor")
    details = DETAILS.get(kind, _none)(rope, factor)
    if None in (factor, original, *(details.get(key, 0) for key in ("low", "high", "short", "long"))):
        return None, context
    # dynamic NTK is the one method whose file gives the trained context, not the extended one
    reach = int(context * factor) if kind == "dynamic" and context else context
    return RopeScaling(kind, factor, original, **details), reach


def _none(rope: Values, factor: float | None) -> dict[str, Any]:
    return {}


def _llama3(rope: Values, factor: float | None) -> dict[str, Any]:
    return {"low": rope.real("low_freq_factor"), "high": rope.real("high_freq_factor")}


def _yarn(rope: Values, factor: float | None) -> dict[str, Any]:
    if not rope.flag("truncate", True):
        rope.unsupported("YaRN's ramp between fractions of pairs", "it between whole ones")
    first, again = rope.real("mscale", 0.0, least=0), rope.real("mscale_all_dim", 0.0, least=0)
    attention = rope.real("attention_factor", None)
    if attention is None and factor and first and again:
        attention = yarn_attention(factor, first) / yarn_attention(factor, again)
    return {"low": rope.real("beta_slow", 1.0), "high": rope.real("beta_fast", 32.0), "attention": attention}


def _longrope(rope: Values, factor: float | None) -> dict[str, Any]:
    return {
        "short": rope.reals("short_factor"),
        "long": rope.reals("long_factor"),
        "attention": rope.real("attention_factor", None),
    }


DETAILS: dict[str, Callable[[Values, float | None], dict[str, Any]]] = {
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
}
