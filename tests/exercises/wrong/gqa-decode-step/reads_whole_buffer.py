# Fault: attends to the whole buffer, slots that hold nothing included.
# Rejected by: test_unused_slots_are_not_read

import math


def decode_step(q, k, v, cache_k, cache_v, length):
    if length >= cache_k.shape[2]:
        raise ValueError("the cache is full")
    cache_k[:, :, length], cache_v[:, :, length] = k[:, :, 0], v[:, :, 0]
    groups = q.shape[1] // k.shape[1]
    keys, values = (t.repeat_interleave(groups, dim=1) for t in (cache_k, cache_v))
    return (q @ keys.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(dim=-1) @ values
