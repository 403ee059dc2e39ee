"""Counting by numbers: parameters and FLOPs of known models."""

from dataclasses import replace

import torch

from handbook.lab import kit
from handbook.lab.transformer.subjects import SMOLLM2, published
from handbook.model import count, counting
from handbook.model.config import Latent, Mixture, ModelConfig
from handbook.model.transformer import Trace, Transformer

TINY = ModelConfig(
    vocab_size=512, dim=64, layers=3, heads=8, kv_heads=2, head_dim=8, hidden_dim=160, context=256
)
SHAPES = {  # small enough to run; a mixture's shapes hang on the numbers
    "tied, grouped": replace(TINY, tie_embeddings=True),
    "windows in two layers of three": replace(TINY, windows=(32, 0, 32)),
    "mixture with shared experts": replace(
        TINY, mixture=Mixture(experts=8, k=2, hidden_dim=48, shared_hidden_dim=48, dense=(0,))
    ),
    "latent": replace(
        TINY,
        kv_heads=8,
        head_dim=12,
        rotary_dim=4,
        latent=Latent(rank=32, rope_dim=4, value_dim=8, query_rank=24),
    ),
}


def embedding_parameter_share(small: bool = True) -> float:
    model = counting.shape_only(SMOLLM2)
    return model.embed.weight.numel() / counting.parameters(model)


def flops_per_token_over_2n(small: bool = True) -> float:
    return counting.step_flops(SMOLLM2, 128) / (2 * counting.parameters(counting.shape_only(SMOLLM2)))


def attention_flops_share_2k(small: bool = True) -> float:
    return 1 - counting.step_flops(SMOLLM2, 0) / counting.step_flops(SMOLLM2, 2048)


def active_share_mixtral(small: bool = True) -> float:
    config = published("mixtral-8x7b")
    return count.active_parameters(config) / count.parameters(config)


def counted_step(config: ModelConfig, context: int) -> int:
    """FLOPs of all matrix products of one decode step that runs, as torch's counter sees them."""
    torch.manual_seed(0)
    model = Transformer(config).eval()
    cache = model.new_window_cache() if config.windows else model.new_cache(context + 1)
    with kit.quiet():
        model(torch.zeros(1, context, dtype=torch.long), cache=cache)
        with counting.flop_counter() as counter:
            # a trace takes the plain path, which the counter knows; with latents it would unfold as well
            trace = None if config.latent else Trace()
            model(torch.zeros(1, 1, dtype=torch.long), cache=cache, trace=trace)
    return int(counter.get_total_flops())


def decode_flops_error(small: bool = True) -> float:
    """Largest deviation of `count` from the counter, over SmolLM2 and the small shapes."""
    pairs = [(count.decode_flops(SMOLLM2, 512), counting.step_flops(SMOLLM2, 512))]
    pairs += [(count.decode_flops(shape, 100), counted_step(shape, 100)) for shape in SHAPES.values()]
    return max(abs(formula / counted - 1) for formula, counted in pairs)
