"""Kernels by numbers: tiled and fused attention beside the plain one, and what the norms cost."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from handbook.lab import kit
from handbook.lab.transformer.cache import decoding
from handbook.lab.transformer.subjects import SMOLLM2, random_heads
from handbook.model.attention import attend, attend_fused, attend_tiled, causal_mask
from handbook.model.layers import RMSNorm


def tiled_attention_error(small: bool = True) -> list[float]:
    differences = []
    for seed in range(1 if small else 5):
        heads, mask = random_heads(1024, seed=seed), causal_mask(1024)
        with kit.quiet():
            difference = attend_tiled(*heads, mask, block=128) - attend(*heads, mask)
        differences.append(difference.abs().max().item())
    return differences


def tiled_attention_memory_saving(small: bool = True) -> float:
    heads, mask = random_heads(2048), causal_mask(2048)
    with kit.quiet():
        plain, tiled = (kit.peak_bytes(partial(way, *heads, mask)) for way in (attend, attend_tiled))
    return plain / tiled


def fused_attention_speedup(small: bool = True) -> list[float]:
    heads, mask = random_heads(1024), causal_mask(1024)
    plain, fused = partial(attend, *heads, mask), partial(attend_fused, *heads, mask)
    return kit.paired(plain, fused, 5 if small else 21, inner=3)


def ways(length: int, tile: int) -> list[dict[str, str | float]]:
    """Peak memory of each way to attention, and how far it is from the plain one: 9 heads of 64, causal."""
    heads, mask = random_heads(length), causal_mask(length)
    works: dict[str, Callable[[], Tensor]] = {
        "plain": partial(attend, *heads, mask),
        f"tiled, {tile} keys": partial(attend_tiled, *heads, mask, block=tile),
        "torch's fused kernel": partial(attend_fused, *heads, mask),
    }
    with kit.quiet():
        plain = attend(*heads, mask)
        return [
            {
                "way": name,
                "peak MB": kit.peak_bytes(work) / 1e6,
                "largest difference from plain": f"{(work() - plain).abs().max().item():.1g}",
            }
            for name, work in works.items()
        ]


def norm_time_share(small: bool = True) -> list[float]:
    _, step, _ = decoding(512)
    norms = [module for module in kit.chat_model().model.modules() if isinstance(module, RMSNorm)]
    x = torch.randn(1, 1, SMOLLM2.dim)
    ratios = kit.paired(step, lambda: [norm(x) for norm in norms], 5 if small else 25, inner=5)
    return [1 / ratio for ratio in ratios]
