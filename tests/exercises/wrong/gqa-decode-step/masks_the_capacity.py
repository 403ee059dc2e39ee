# Fault: scores all slots and masks the unused ones, at the cost of the whole capacity every step.
# Rejected by: test_scores_have_the_size_of_what_is_stored

import math


def decode_step(q, k, v, cache_k, cache_v, length):
    if length >= cache_k.shape[2]:
        raise ValueError("the cache is full")
    cache_k[:, :, length], cache_v[:, :, length] = k[:, :, 0], v[:, :, 0]
    groups = q.shape[1] // k.shape[1]
    keys, values = (t.nan_to_num().repeat_interleave(groups, dim=1) for t in (cache_k, cache_v))
    scores = q @ keys.transpose(-2, -1) / math.sqrt(q.shape[-1])
    scores[..., length + 1 :] = -math.inf
    return scores.softmax(dim=-1) @ values
