# Fault: exp without subtracting the largest score overflows.
# Rejected by: test_large_scores_stay_finite

import math


def attention(q, k, v, mask=None):
    weights = (q.float() @ k.float().transpose(-2, -1) / math.sqrt(q.shape[-1])).exp()
    if mask is not None:
        weights = weights * mask
    return (weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-30) @ v.float()).to(q.dtype)
