# Fault: bits // 8 bytes per value: 6 bits become none.
# Rejected by: test_alternating_example

import math


def values(config):
    if config.get("kv_lora_rank") is not None:
        return config["kv_lora_rank"] + config["qk_rope_head_dim"]
    heads = config["num_attention_heads"]
    kv_heads, size = config.get("num_key_value_heads") or heads, config.get("head_dim")
    return 2 * kv_heads * (size or config["hidden_size"] // heads)


def windows(config):
    layers, window, kinds = map(config.get, ("num_hidden_layers", "sliding_window", "layer_types"))
    if kinds is None:
        return [window] * layers
    if len(kinds) != layers or (window is None and "sliding_attention" in kinds):
        raise ValueError("layer_types and layers, or windows, do not fit")
    return [window if kind == "sliding_attention" else None for kind in kinds]


def cache_bytes(config, tokens, batch=1, bits=16):
    if tokens < 0 or batch < 1 or bits < 1:
        raise ValueError("tokens, batch and bits count something")
    held = sum(tokens if window is None else min(tokens, window) for window in windows(config))
    return held * values(config) * batch * (bits // 8)


def longest_context(config, memory, batch=1, bits=16):
    if memory < 0:
        raise ValueError("memory is negative")
    kept = windows(config)
    if None not in kept and cache_bytes(config, max(kept), batch, bits) <= memory:
        return math.inf
    low, high = 0, 1
    while high < 1 << 99 and cache_bytes(config, high, batch, bits) <= memory:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if cache_bytes(config, middle, batch, bits) <= memory:
            low = middle
        else:
            high = middle
    return low
