# Fault: the scores are not divided by the root of the head dimension.
# Rejected by: test_scale_uses_head_dimension

import math


def attention(q, k, v, mask=None):
    scores = q.float() @ k.float().transpose(-2, -1)
    if mask is None:
        return (scores.softmax(dim=-1) @ v.float()).to(q.dtype)
    weights = scores.masked_fill(~mask, -math.inf).softmax(dim=-1).masked_fill(~mask, 0.0)
    return (weights @ v.float()).to(q.dtype)
