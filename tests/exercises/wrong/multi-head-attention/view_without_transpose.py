# Fault: [B, T, C] is viewed as [B, heads, T, D] without a transpose, which mixes positions and heads.
# Rejected by: test_worked_example

import math

import torch


def multi_head_attention(x, wq, wk, wv, wo, heads, causal=False):
    B, T, C = x.shape
    if C % heads:
        raise ValueError("heads must divide C")
    q, k, v = ((x @ w.T).reshape(B, heads, T, C // heads) for w in (wq, wk, wv))
    scores = q @ k.transpose(-2, -1) / math.sqrt(C // heads)
    if causal:
        scores = scores.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), -math.inf)
    return (scores.softmax(dim=-1) @ v).reshape(B, T, C) @ wo.T
