"""What a decoder costs, counted on a model without weights: parameters, FLOPs of one decode step.

Nothing is estimated from a formula here; the formulas of the chapter, and those of `count`, are held against
these counts.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from handbook.model.cache import KVCache
from handbook.model.config import ModelConfig
from handbook.model.transformer import Trace, Transformer


def shape_only(config: ModelConfig) -> Transformer:
    """The decoder on torch's meta device: it computes shapes and no numbers, in no time and no memory."""
    with torch.device("meta"):
        return Transformer(config)


def _grouped_product(rows: Sequence[int], matrices: Sequence[int], *_: object, **__: object) -> int:
    """Every row [N, K] meets one matrix of [E, K, F]."""
    return 2 * rows[0] * rows[1] * matrices[2]


def flop_counter() -> FlopCounterMode:
    """Torch's counter of matrix products, which knows all of ours but the grouped one of
    `moe.run_fused`."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten._grouped_mm: _grouped_product})


def parameters(model: nn.Module) -> int:
    """Number of weights; a tied embedding counts once."""
    return sum(weight.numel() for weight in model.parameters())


def filled_cache(model: Transformer, context: int, batch: int = 1) -> KVCache:
    """A cache that holds `context` random positions and has room for one more.

    For timing and counting: what a step costs does not depend on what it reads.
    """
    cache = model.new_cache(context + 1, batch)
    for layer in range(model.config.layers if context else 0):
        # keys and values are of two widths in a latent cache
        k, v = (torch.randn_like(held[layer, :, :, :context]) for held in (cache.keys, cache.values))
        cache.append(layer, k, v)
    return cache


def latent_cache_bytes(
    layers: int, latent: int, rope_dim: int, tokens: int, batch: int = 1, bytes_per_value: int = 2
) -> int:
    """Bytes of a latent cache: per token and layer one compressed vector and one rotary key for all heads.

    DeepSeek-V2 (arXiv:2405.04434), section 2.1.2 and table 1.
    """
    return layers * (latent + rope_dim) * tokens * batch * bytes_per_value


def step_flops(config: ModelConfig, context: int) -> int:
    """FLOPs of all matrix products of one decode step with `context` tokens cached, batch 1.

    Torch counts them from the shapes that run, a multiplication and an addition as two. Element-wise work
    (norms, softmax, activations) is left out, as in the rule of two FLOPs a parameter (Kaplan et al. 2020,
    arXiv:2001.08361, section 2.1). Not for mixtures of experts, whose shapes hang on the numbers: `count`
    knows those.
    """
    model = shape_only(config)
    cache, token = filled_cache(model, context), torch.zeros(1, 1, dtype=torch.long, device="meta")
    with flop_counter() as counter:
        model(token, cache=cache, trace=Trace())  # a trace takes the plain path, which the counter knows
    return int(counter.get_total_flops())
