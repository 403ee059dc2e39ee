"""Latent attention by numbers: a decode step that unfolds its cache beside one that absorbs the unfolding."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from handbook.lab import kit
from handbook.lab.transformer.subjects import published
from handbook.model.attention import attend
from handbook.model.cache import KVCache
from handbook.model.config import ModelConfig
from handbook.model.latent import LatentAttention
from handbook.model.rope import rope_tables
from handbook.model.transformer import attention_of


def unfolded_step(
    layer: LatentAttention, plain: Tensor, turned: Tensor, latent: Tensor, key: Tensor
) -> Tensor:
    """One query over keys and values that are made anew of every latent held: -> [B, H, 1, V]."""
    return attend(torch.cat((plain, turned), dim=-1), *layer.unfold(latent, key), scale=layer.scale)


def absorbed_step(
    layer: LatentAttention, plain: Tensor, turned: Tensor, latent: Tensor, key: Tensor
) -> Tensor:
    """One query over the latents as they are: -> [B, H, 1, V]."""
    return layer.attend_absorbed(layer.absorb(plain, turned), latent, key, None)


def step_flops(config: ModelConfig, cached: int) -> dict[str, int]:
    """FLOPs of the attention of one layer in a decode step over `cached` positions, projections apart:
    unfolded, absorbed, and kept (as if the unfolded keys and values had been cached).

    Torch counts them on the layer itself, without numbers; see `handbook.model.counting`.
    """
    assert config.latent is not None
    H, R, L = config.heads, config.latent.rope_dim, config.latent.rank
    with torch.device("meta"):
        layer = attention_of(config)
        assert isinstance(layer, LatentAttention)
        plain, turned = torch.empty(1, H, 1, layer.plain_dim), torch.empty(1, H, 1, R)
        latent, key = torch.empty(1, 1, cached, L), torch.empty(1, 1, cached, R)
        k, v = layer.unfold(latent, key)
        steps: dict[str, Callable[[], Tensor]] = {
            "unfolded": lambda: unfolded_step(layer, plain, turned, latent, key),
            "absorbed": lambda: absorbed_step(layer, plain, turned, latent, key),
            "kept": lambda: attend(torch.cat((plain, turned), dim=-1), k, v),
        }
        found = {}
        for name, step in steps.items():
            with FlopCounterMode(display=False) as counter:
                step()
            found[name] = int(counter.get_total_flops())
    return found


def resized(heads: int, rank: int) -> ModelConfig:
    """DeepSeek-V2 with other numbers of heads and another width of the latent."""
    c = published("deepseek-v2")
    assert c.latent is not None
    return replace(c, heads=heads, kv_heads=heads, latent=replace(c.latent, rank=rank))


def cached_values(config: ModelConfig) -> dict[str, int]:
    """Values that a layer caches for one token: of latent attention, and if its keys and values were kept,
    the rotary key once for all heads.
    """
    m = config.latent
    assert m is not None
    kept = config.heads * (config.head_dim - m.rope_dim + m.value_dim) + m.rope_dim
    return {"absorbed": m.rank + m.rope_dim, "kept": kept}


def mla_absorbed_flops(small: bool = True) -> float:
    flops = step_flops(published("deepseek-v2"), 4096)
    return flops["unfolded"] / flops["absorbed"]


class Decoding:
    """A layer of 16 heads of 64 + 32 channels over latents of 256, and a cache of random positions, to be
    asked for its next token again and again."""

    def __init__(self, cached: int, seed: int = 0) -> None:
        draw = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        self.layer = LatentAttention(1024, 16, plain_dim=64, rope_dim=32, value_dim=64, rank=256)
        self.x = torch.randn(1, 1, 1024, generator=draw)
        self.rope = rope_tables(torch.tensor([cached]), 32)
        self.cached, self.cache = cached, KVCache(1, 1, 32, cached + 1, value_dim=256)
        key, latent = (torch.randn(1, 1, cached, width, generator=draw) for width in (32, 256))
        self.cache.append(0, key, latent)

    def step(self, absorbed: bool) -> Tensor:
        """The layer's output for one more token: [1, 1, 1024]."""
        self.cache.truncate(self.cached)
        y: Tensor = self.layer(self.x, rope=self.rope, cache=self.cache, absorbed=absorbed)
        return y


def mla_absorbed_error(small: bool = True) -> list[float]:
    """Largest difference between the two steps over the largest output, per seed."""
    errors = []
    for seed in range(2 if small else 8):
        decoding = Decoding(512, seed)
        with kit.quiet():
            unfolded, absorbed = decoding.step(False), decoding.step(True)
        errors.append(((unfolded - absorbed).abs().max() / unfolded.abs().max()).item())
    return errors


def mla_absorbed_speedup(small: bool = True) -> list[float]:
    decoding = Decoding(2048)
    slow, fast = (lambda: decoding.step(False)), (lambda: decoding.step(True))
    return kit.paired(slow, fast, 5 if small else 21, inner=4)
