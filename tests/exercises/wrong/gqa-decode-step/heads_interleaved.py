# Fault: query head h reads key and value head h % J instead of h // (H / J).
# Rejected by: test_neighbouring_query_heads_share

import math


def decode_step(q, k, v, cache_k, cache_v, length):
    if length >= cache_k.shape[2]:
        raise ValueError("the cache is full")
    cache_k[:, :, length], cache_v[:, :, length] = k[:, :, 0], v[:, :, 0]
    groups = q.shape[1] // k.shape[1]
    keys = cache_k[:, :, : length + 1].repeat(1, groups, 1, 1)
    values = cache_v[:, :, : length + 1].repeat(1, groups, 1, 1)
    return (q @ keys.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(dim=-1) @ values
