"""Values per position, positions per layer, bits: three small functions, then a bisection.

`handbook.model.count.kv_bytes` computes the same from a whole ModelConfig; a test holds the two equal.
"""

import math


def values_per_position(config: dict) -> int:
    """What one position leaves in one layer."""
    rank = config.get("kv_lora_rank")
    if rank is not None:
        return rank + config["qk_rope_head_dim"]
    heads = config["num_attention_heads"]
    kv_heads, head_dim = config.get("num_key_value_heads"), config.get("head_dim")
    kv_heads = heads if kv_heads is None else kv_heads
    head_dim = config["hidden_size"] // heads if head_dim is None else head_dim
    return 2 * kv_heads * head_dim


def windows(config: dict) -> list[int | None]:
    """Most positions that each layer keeps, None for all."""
    layers, window, kinds = (
        config.get(key) for key in ("num_hidden_layers", "sliding_window", "layer_types")
    )
    if kinds is None:
        return [window] * layers
    if len(kinds) != layers:
        raise ValueError(f"Expected {layers} layer_types, got {len(kinds)}.")
    if window is None and "sliding_attention" in kinds:
        raise ValueError("Expected a sliding_window for the layers with one, got none.")
    return [window if kind == "sliding_attention" else None for kind in kinds]


def cache_bytes(config: dict, tokens: int, batch: int = 1, bits: int = 16) -> int:
    """Bytes that `tokens` positions of `batch` sequences take. Raises ValueError."""
    if tokens < 0 or batch < 1 or bits < 1:
        raise ValueError(f"Expected tokens >= 0, batch and bits >= 1, got {tokens}, {batch}, {bits}.")
    held = sum(tokens if window is None else min(tokens, window) for window in windows(config))
    return -(-held * values_per_position(config) * batch * bits // 8)


def longest_context(config: dict, memory: int, batch: int = 1, bits: int = 16) -> int | float:
    """Most tokens per sequence whose cache fits in `memory` bytes, inf if all do. Raises ValueError."""
    if memory < 0:
        raise ValueError(f"Expected memory >= 0, got {memory}.")

    def fits(tokens: int) -> bool:
        return cache_bytes(config, tokens, batch, bits) <= memory

    kept = windows(config)
    if None not in kept and fits(max(kept)):
        return math.inf
    low, high = 0, 1  # low fits
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
