"""The KV cache by numbers: the time it saves, the bytes it takes, and what shrinks it."""

from collections.abc import Callable

import torch

from handbook.lab import kit
from handbook.lab.transformer.subjects import SMOLLM2, published
from handbook.model import count, counting
from handbook.model.cache import KVCache, cache_bytes
from handbook.model.variants import WindowCache

Work = Callable[[], object]


def decoding(context: int, batch: int = 1) -> tuple[Work, Work, Work]:
    """Prefill, a decode step with the cache, and the same step without it, of SmolLM2-135M at `context`
    tokens, to be timed. Raises ModelUnavailable without the model.
    """
    model = kit.chat_model().model
    ids = torch.randint(SMOLLM2.vocab_size, (batch, context + 1), generator=torch.Generator().manual_seed(0))
    held = counting.filled_cache(model, context, batch)

    def prefill() -> None:
        held.truncate(0)
        model(ids[:, :context], cache=held, last_only=True)

    def step() -> None:
        held.truncate(context)
        model(ids[:, context:], cache=held, last_only=True)

    return prefill, step, lambda: model(ids, last_only=True)


def rates(
    context: int, single: bool, say: Callable[[str], object] = lambda what: None
) -> list[dict[str, str | float]]:
    """Tokens per second of prefill and decode at `context` tokens: the best of a few passes.

    single: on one thread instead of all. say is told what is being timed.
    """
    prefill, step, recompute = decoding(context)
    plan = (
        ("prefill", prefill, context, 2),
        ("decode with the cache", step, 1, 8),
        ("decode without the cache", recompute, 1, 2),
    )
    found: list[dict[str, str | float]] = []
    with kit.quiet() if single else torch.inference_mode():
        for name, work, made, repeats in plan:
            say(name)
            work()
            took = min(kit.seconds(work) for _ in range(repeats))
            found.append({"pass": name, "ms a pass": 1000 * took, "tokens per second": made / took})
    return found


def bytes_by_kind(
    layers: int, heads: int, kv_heads: int, head_dim: int, latent: int, batch: int, bytes_per_value: int
) -> dict[str, Callable[[int], int]]:
    """Bytes of the cache as a function of tokens, by kind of attention; latent: with a rotary key of 64."""

    def heads_of(shared: int) -> Callable[[int], int]:
        return lambda tokens: cache_bytes(layers, shared, head_dim, tokens, batch, bytes_per_value)

    return {
        "MHA": heads_of(heads),
        "GQA": heads_of(kv_heads),
        "MQA": heads_of(1),
        "MLA": lambda tokens: counting.latent_cache_bytes(layers, latent, 64, tokens, batch, bytes_per_value),
    }


def cached_decode_speedup(small: bool = True) -> list[float]:
    _, step, recompute = decoding(512)
    return kit.paired(recompute, step, 2 if small else 15, inner=4, warm=not small)


def prefill_over_decode(small: bool = True) -> list[float]:
    prefill, step, _ = decoding(512)
    return [512 / ratio for ratio in kit.paired(prefill, step, 2 if small else 15, inner=4, warm=not small)]


def batched_decode_gain(small: bool = True) -> list[float]:
    (_, one, _), (_, eight, _) = decoding(128), decoding(128, batch=8)
    return [8 / ratio for ratio in kit.paired(eight, one, 5 if small else 25, inner=2)]


def allocated(kv_heads: int, capacity: int) -> KVCache:
    """A 16-bit cache with SmolLM2's layers and head size."""
    return KVCache(SMOLLM2.layers, kv_heads, SMOLLM2.head_dim, capacity, dtype=torch.bfloat16)


def kv_bytes_per_token_smollm2(small: bool = True) -> float:
    return allocated(SMOLLM2.kv_heads, 512).nbytes / 512


def kv_megabytes_8k(small: bool = True) -> float:
    return count.kv_bytes(SMOLLM2, SMOLLM2.context) / 1e6


def cache_equals_weights_tokens(small: bool = True) -> float:
    return 2 * counting.parameters(counting.shape_only(SMOLLM2)) / count.kv_bytes(SMOLLM2, 1)


def gqa_cache_saving(small: bool = True) -> float:
    return allocated(SMOLLM2.heads, 256).nbytes / allocated(SMOLLM2.kv_heads, 256).nbytes


def mla_cache_saving(small: bool = True) -> float:
    c = published("deepseek-v2")
    assert c.latent is not None
    return cache_bytes(c.layers, c.heads, c.latent.value_dim, tokens=1) / count.kv_bytes(c, 1)


def window_cache_share(small: bool = True) -> float:
    """Bytes that both kinds of cache hold after the same text, on torch's meta device."""
    c = published("mistral-7b")
    T = c.context
    new = torch.empty(1, c.kv_heads, T, c.head_dim, device="meta")
    every = KVCache(c.layers, c.kv_heads, c.head_dim, T, device="meta")
    near = WindowCache(c.windows)
    for layer in range(c.layers):
        for cache in (every, near):
            cache.append(layer, new, new)
    return near.nbytes / every.nbytes
