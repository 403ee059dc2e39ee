# Fault: the mask is applied to the weights after the softmax, so rows don't sum to 1.
# Rejected by: test_worked_example_with_mask

import math

import torch


def attention(q, k, v, mask=None):
    weights = torch.softmax(q.float() @ k.float().transpose(-2, -1) / math.sqrt(q.shape[-1]), dim=-1)
    if mask is not None:
        weights = weights * mask
    return (weights @ v.float()).to(q.dtype)
