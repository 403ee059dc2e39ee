# Fault: the causal mask lets every position see one position ahead.
# Rejected by: test_future_does_not_leak

import math

import torch


def multi_head_attention(x, wq, wk, wv, wo, heads, causal=False):
    B, T, C = x.shape
    if C % heads:
        raise ValueError("heads must divide C")
    q, k, v = ((x @ w.T).reshape(B, T, heads, C // heads).transpose(1, 2) for w in (wq, wk, wv))
    scores = q @ k.transpose(-2, -1) / math.sqrt(C // heads)
    if causal:
        scores = scores.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(2), -math.inf)
    return (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(B, T, C) @ wo.T
