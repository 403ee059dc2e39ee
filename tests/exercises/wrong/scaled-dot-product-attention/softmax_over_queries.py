# Fault: the softmax runs over the queries instead of the keys.
# Rejected by: test_worked_example

import math

import torch


def attention(q, k, v, mask=None):
    scores = q.float() @ k.float().transpose(-2, -1) / math.sqrt(q.shape[-1])
    allowed = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.expand_as(scores)
    weights = scores.masked_fill(~allowed, -math.inf).softmax(dim=-2)
    return (weights.masked_fill(~allowed, 0.0) @ v.float()).to(q.dtype)
