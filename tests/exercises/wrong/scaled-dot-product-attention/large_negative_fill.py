# Fault: masked scores become -1e9, so a query without keys gets the mean of the values.
# Rejected by: test_query_without_any_key_gives_zeros

import math


def attention(q, k, v, mask=None):
    scores = q.float() @ k.float().transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e9)
    return (scores.softmax(dim=-1) @ v.float()).to(q.dtype)
