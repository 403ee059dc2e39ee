# Fault: concatenates for its own use and stores nothing, so the next step misses this token.
# Rejected by: test_new_key_and_value_are_stored_in_place

import math

import torch


def decode_step(q, k, v, cache_k, cache_v, length):
    if length >= cache_k.shape[2]:
        raise ValueError("the cache is full")
    groups = q.shape[1] // k.shape[1]
    keys = torch.cat((cache_k[:, :, :length], k), dim=2).repeat_interleave(groups, dim=1)
    values = torch.cat((cache_v[:, :, :length], v), dim=2).repeat_interleave(groups, dim=1)
    return (q @ keys.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(dim=-1) @ values
